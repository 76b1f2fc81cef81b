package web_test

import (
	"strings"
	"testing"
	"time"

	"vcsagent/gateway/store"
	"vcsagent/gateway/web"
)

func TestFormats(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0 ms", 37600 * time.Nanosecond: "0.04 ms", 12345 * time.Microsecond: "12.3 ms", 999 * time.Millisecond: "999 ms",
		1500 * time.Millisecond: "1.5 s", 61 * time.Second: "61 s", 605 * time.Second: "10m5s"} {
		if got := web.Duration(d); got != want {
			t.Errorf("duration %v is %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 10 << 20: "10 MiB", 1<<30 - 1: "1 GiB"} {
		if got := web.Size(n); got != want {
			t.Errorf("size %d is %q, want %q", n, got, want)
		}
	}
	for p, want := range map[float64]string{0: "0 %", 0.0001: "< 0.1 %", 0.015: "1.5 %", 1: "100 %"} {
		if got := web.Percent(p); got != want {
			t.Errorf("share %v is %q, want %q", p, got, want)
		}
	}
}

func TestSizesAreReadAsTheyAreWritten(t *testing.T) {
	for _, n := range []int64{1, 1000, 1024, 1025, 1 << 20, 10 << 20, 3 << 30, 1 << 40} {
		if got, ok := web.ParseSize(web.ExactSize(n)); !ok || got != n {
			t.Errorf("%d is written %q and read %d", n, web.ExactSize(n), got)
		}
	}
	for typed, want := range map[string]int64{"10MiB": 10 << 20, " 1.5 KiB ": 1536, "7": 7} {
		if got, ok := web.ParseSize(typed); !ok || got != want {
			t.Errorf("%q is %d, %v; want %d", typed, got, ok, want)
		}
	}
	for _, wrong := range []string{"", "MiB", "-1", "1 MB", "ten", "1e30 TiB", "NaN", "Inf"} {
		if got, ok := web.ParseSize(wrong); ok {
			t.Errorf("%q is read as %d", wrong, got)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for s, want := range map[string]string{"https://gitlab.example.com:8443/git": "https://gitlab.example.com:8443/git", "": "''",
		"http://x/$(id)": "'http://x/$(id)'", "a'b": `'a'\''b'`, "http://x/a;b&c": "'http://x/a;b&c'"} {
		if got := web.ShellQuote(s); got != want {
			t.Errorf("%q is quoted %s, want %s", s, got, want)
		}
	}
}

func TestDraw(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := web.Draw([]store.Bucket{{Start: start}, {Start: start.Add(time.Hour), Served: 999, Denied: 1}, {Start: start.Add(2 * time.Hour), Failed: 500}}, time.Hour, 90, 100)
	if len(c.Bars) != 2 || c.Total() != 1500 || c.Most != 1000 {
		t.Fatalf("the picture is %+v", c)
	}
	served, denied := c.Bars[0].Parts[0], c.Bars[0].Parts[1]
	if denied.Kind != "denied" || denied.Height < 1 || denied.Y < 0 || served.Y+served.Height != 100 || denied.Y+denied.Height != served.Y {
		t.Errorf("the bar is %+v", c.Bars[0])
	}
	if failed := c.Bars[1].Parts[0]; failed.Kind != "failed" || failed.Height != 50 {
		t.Errorf("the bar is %+v", c.Bars[1])
	}
	for _, want := range []string{"1\u202f500 requests", "999 served, 1 denied, 500 failed", "from 01:00 UTC"} {
		if !strings.Contains(c.Text, want) {
			t.Errorf("the text is %q without %q", c.Text, want)
		}
	}
	if c := web.Draw(nil, time.Hour, 90, 100); len(c.Bars) != 0 || c.Text == "" {
		t.Errorf("nothing is drawn as %+v", c)
	}
}
