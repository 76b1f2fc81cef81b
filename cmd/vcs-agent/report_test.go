package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

const bugsnagKey = "0123456789abcdef0123456789abcdef"

// tracker stands in for Bugsnag, and as a proxy for the rest of the internet:
// whatever the agent sends anywhere shows in it.
func tracker(t *testing.T, handle http.HandlerFunc) (url string, received <-chan *http.Request) {
	t.Helper()
	all := make(chan *http.Request, 64) // more than any test sends
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read a report: %v", err)
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		all <- r
		handle(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, all
}

func accept(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }

type sentReport struct {
	Events []struct {
		App        map[string]string
		Device     map[string]any
		Exceptions []struct {
			ErrorClass, Message string
			Stacktrace          []struct{ Method string }
		}
		Severity string
		MetaData map[string]any
		Session  any
		User     any
		Request  any
	}
}

func TestPanicsAndFatalErrorsAreReportedWithoutSecrets(t *testing.T) {
	for _, tc := range []struct {
		fake, class, message string
		exit                 int
	}{
		{"fail", "*url.Error", `Get "https://[masked]@gitlab.example.com/api?[masked]": proxy and token [masked] refused`, 1},
		{"panic", "*errors.errorString", "panic: lost it over [masked]", 1},
		{"report", "*errors.errorString", "a request panicked", 0},
	} {
		t.Run(tc.fake, func(t *testing.T) {
			url, received := tracker(t, accept)
			p := start(t, []string{"FAKE=" + tc.fake, "SPACELIFT_VCS_AGENT_BUGSNAG_API_KEY=" + bugsnagKey, "BUGSNAG_RELEASE_STAGE=elsewhere"},
				"fake-agent", "--bugsnag-endpoint", url)
			if code := p.exit(t); code != tc.exit {
				t.Errorf("exit code %d", code)
			}
			if len(received) != 1 {
				t.Fatalf("%d reports", len(received))
			}
			r := <-received
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			var sent sentReport
			if err := json.Unmarshal(body, &sent); err != nil || len(sent.Events) != 1 || len(sent.Events[0].Exceptions) != 1 {
				t.Fatalf("%v: %s", err, body)
			}
			e := sent.Events[0]
			if x := e.Exceptions[0]; x.ErrorClass != tc.class || x.Message != tc.message || e.Severity != "error" || r.Header.Get("Bugsnag-Api-Key") != bugsnagKey {
				t.Errorf("got %s: %s (%s)", x.ErrorClass, x.Message, e.Severity)
			}
			if stack := e.Exceptions[0].Stacktrace; len(stack) == 0 || strings.HasPrefix(stack[0].Method, "(*reporter)") {
				t.Errorf("the stack begins in the reporter or is missing: %v", stack)
			}
			if tc.fake == "panic" && !strings.Contains(string(body), `"method":"fakeAgent"`) {
				t.Errorf("the stack of the panic is missing: %s", body)
			}
			host, err := os.Hostname()
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := e.Device["hostname"]; ok || e.Session != nil || e.User != nil || e.Request != nil || len(e.MetaData) != 0 || strings.Contains(string(body), `"`+host+`"`) {
				t.Errorf("more is sent than needed: %s", body)
			}
			for _, secret := range []string{token, "s3cret-key", "glpat", "pw@"} {
				if strings.Contains(string(body), secret) {
					t.Errorf("the report holds %q", secret)
				}
			}
			if e.App["releaseStage"] != "production" || e.App["type"] != "vcs-agent" || e.App["version"] == "" {
				t.Errorf("app %v", e.App)
			}
		})
	}
}

func TestNothingIsSentWithoutAKeyOrWhenDisabled(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		sent int
	}{
		{"no key", nil, 0},
		{"no key, though an endpoint", []string{"--bugsnag-endpoint=http://bugsnag.invalid"}, 0},
		{"disabled", []string{"--bugsnag-api-key=" + bugsnagKey, "--disable-bugsnag"}, 0},
		{"a key", []string{"--bugsnag-api-key=" + bugsnagKey}, 1}, // shows that the others would be seen
	} {
		t.Run(tc.name, func(t *testing.T) {
			url, received := tracker(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
			p := start(t, []string{"FAKE=fail", "HTTPS_PROXY=" + url, "HTTP_PROXY=" + url, "BUGSNAG_API_KEY=" + bugsnagKey}, "fake-agent", tc.args...)
			if code := p.exit(t); code != 1 || len(received) != tc.sent {
				t.Errorf("exit code %d, %d requests, want %d", code, len(received), tc.sent)
			}
			if tc.sent == 1 {
				if r := <-received; r.Method != http.MethodConnect || r.Host != "notify.bugsnag.com:443" {
					t.Errorf("%s %s", r.Method, r.Host)
				}
			}
		})
	}
}

func TestASilentTrackerDoesNotKeepTheProcess(t *testing.T) {
	release := make(chan struct{})
	url, _ := tracker(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	p := start(t, []string{"FAKE=fail"}, "fake-agent", "--bugsnag-api-key", bugsnagKey, "--bugsnag-endpoint", url)
	p.until(t, `"msg":"error report not sent"`)
	if code := p.exit(t); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

// A request that panics each time it's tried must not pile up reports in memory.
func TestAFloodOfReportsIsCutOff(t *testing.T) {
	release := make(chan struct{})
	url, received := tracker(t, func(http.ResponseWriter, *http.Request) { <-release })
	p := start(t, []string{"FAKE=flood"}, "fake-agent", "--bugsnag-api-key", bugsnagKey, "--bugsnag-endpoint", url)
	p.until(t, `"msg":"error report dropped"`)
	p.until(t, "running")
	close(release)
	if code := p.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if n := len(received); n < 16 || n > 17 { // what waits, and the one being sent
		t.Errorf("%d reports were sent", n)
	}
}
