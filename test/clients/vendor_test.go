package clients_test

import (
	"mime"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"vcsagent/allow"
	"vcsagent/test/stack"
	"vcsagent/transport"
)

// vendor is a VCS and a library that speaks with it. C is the library's client.
type vendor[C any] struct {
	name   string
	client func(base string, hc *http.Client) (C, error)
	// forbidden says whether an error of the library's tells that the answer
	// was a 403.
	forbidden func(error) bool
	serve     func(w http.ResponseWriter, r *http.Request) bool // the origin's
	// dropped are headers of the library's that the policy keeps back.
	dropped []string

	allowed []call[C]
	denied  []call[C]
	// uncovered are rules that the library has no call for, each with the reason.
	uncovered map[string]string
}

// call is one call of the library's.
type call[C any] struct {
	name   string // the library's
	do     func(C) error
	rule   string // the rule that allows it; "" for what is denied
	want   string // method and path of its last request to the VCS
	answer answer
	// sameBody compares the body that came through with the one that went
	// straight, for one that the agent writes anew; nil means byte by byte.
	sameBody func(got, want string) bool
}

// run makes every call over both carriers.
func (v vendor[C]) run(t *testing.T) {
	for _, carrier := range []string{"quic", "tcp"} {
		t.Run(carrier, func(t *testing.T) {
			vcs := &origin{serve: v.serve}
			s := stack.New(t, stack.Options{VCS: vcs})
			s.StartAgent(t, "--transport", carrier, "--vendor", v.name, "--allow-groups", strings.Join(allow.Groups(), ","))
			r := rig[C]{
				vendor: v, vcs: vcs,
				straight: v.connect(t, "straight", s.VCSURL, newTap("", nil)),
				through: []*way[C]{
					v.connect(t, "path form", s.URL(""), newTap(s.Key, nil)),
					v.connect(t, "proxy form", "http://"+stack.Pool+".private", newTap("", s.ProxyURL())),
				},
			}
			for _, c := range v.allowed {
				t.Run("allowed/"+c.name, func(t *testing.T) { r.allowed(t, c) })
			}
			for _, c := range v.denied {
				t.Run("denied/"+c.name, func(t *testing.T) { r.denied(t, c) })
			}
		})
	}
	v.checkCoverage(t)
}

// checkCoverage makes sure that every rule of the vendor is used by a call or
// listed with a reason, and not both.
func (v vendor[C]) checkCoverage(t *testing.T) {
	t.Helper()
	covered := make(map[string]bool)
	for _, c := range v.allowed {
		covered[c.rule] = true
	}
	names := ruleNames(t, v.name)
	for _, name := range names {
		if reason := v.uncovered[name]; covered[name] == (reason != "") {
			t.Errorf("rule %s: used by a call: %t, listed as one that the library has no call for: %q", name, covered[name], reason)
		}
	}
	for name := range v.uncovered {
		if !slices.Contains(names, name) {
			t.Errorf("rule %s is listed as uncovered, but there is no such rule", name)
		}
	}
}

func ruleNames(t *testing.T, vendor string) []string {
	t.Helper()
	data, err := os.ReadFile("allow/rules/" + vendor + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Rules []struct{ Name string } }
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(file.Rules))
	for _, r := range file.Rules {
		names = append(names, r.Name)
	}
	if len(names) == 0 {
		t.Fatalf("no rules of vendor %s were found", vendor)
	}
	return names
}

// way is a client and how it reaches the VCS.
type way[C any] struct {
	name   string
	client C
	tap    *tap
}

func (v vendor[C]) connect(t *testing.T, name, base string, tap *tap) *way[C] {
	t.Helper()
	t.Cleanup(tap.next.CloseIdleConnections)
	client, err := v.client(base, &http.Client{Transport: tap})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return &way[C]{name, client, tap}
}

// rig is what the calls of one run share.
type rig[C any] struct {
	vendor[C]
	vcs      *origin
	straight *way[C]
	through  []*way[C]
}

// make makes the call and returns its error, what the VCS got and what it gave.
func (r *rig[C]) make(w *way[C], c call[C]) (sent []request, got []reply, err error) {
	w.tap.take()
	r.vcs.await(c.answer)
	err = c.do(w.client)
	return r.vcs.requests(), w.tap.take(), err
}

// baseline makes the call without us. It shows that the row's call is what its
// name says, which for a denied one nothing else does.
func (r *rig[C]) baseline(t *testing.T, c call[C]) (sent []request, got []reply, err error) {
	t.Helper()
	sent, got, err = r.make(r.straight, c)
	if len(sent) == 0 {
		t.Fatalf("straight: no request came: %v", err)
	}
	last := sent[len(sent)-1]
	if m, p := last.Method, segments(last); !slices.Equal(p, wantSegments(c.want)) || m != wantMethod(c.want) {
		t.Errorf("straight: the VCS got %s %s, want %s", m, last.RequestURI, c.want)
	}
	return sent, got, err
}

func (r *rig[C]) allowed(t *testing.T, c call[C]) {
	want, wantReply, err := r.baseline(t, c)
	if err != nil {
		t.Fatalf("straight: %v", err)
	}
	for _, w := range r.through {
		sent, got, err := r.make(w, c)
		if err != nil {
			t.Errorf("%s: %v%s", w.name, err, told(got))
			continue
		}
		if len(sent) != len(want) || len(got) != len(wantReply) {
			t.Errorf("%s: %d requests and %d answers, without us %d and %d", w.name, len(sent), len(got), len(want), len(wantReply))
			continue
		}
		for i := range sent {
			r.compare(t, w.name, c, sent[i], want[i])
			if got[i].status != wantReply[i].status || got[i].body != wantReply[i].body {
				t.Errorf("%s: answer %d %q, without us %d %q", w.name, got[i].status, got[i].body, wantReply[i].status, wantReply[i].body)
			}
		}
		last := sent[len(sent)-1]
		path, _, _ := strings.Cut(last.RequestURI, "?")
		if request := last.Method + " " + path; request != c.want {
			t.Errorf("%s: the VCS got %s, want %s", w.name, request, c.want)
		}
		if rule := got[len(got)-1].header.Get(transport.NameHeader); rule != c.rule {
			t.Errorf("%s: allowed by the rule %q, want %s", w.name, rule, c.rule)
		}
	}
}

func (r *rig[C]) denied(t *testing.T, c call[C]) {
	want, _, _ := r.baseline(t, c)
	for _, w := range r.through {
		sent, got, err := r.make(w, c)
		switch {
		case err == nil:
			t.Errorf("%s: the library got no error", w.name)
		case !r.forbidden(err):
			t.Errorf("%s: the library's error isn't one about a 403: %v", w.name, err)
		}
		if n := len(got); n == 0 || got[n-1].status != http.StatusForbidden || got[n-1].code() != "denied" {
			t.Errorf("%s: no denial came%s", w.name, told(got))
		}
		// What went before the denied request, such as a discovery, may arrive.
		for _, s := range sent {
			if s.Method == wantMethod(c.want) && slices.Equal(segments(s), wantSegments(c.want)) {
				t.Errorf("%s: the VCS got %s %s", w.name, s.Method, s.RequestURI)
			}
		}
		if len(sent) >= len(want) {
			t.Errorf("%s: the VCS got %d requests, without us %d", w.name, len(sent), len(want))
		}
	}
}

// told is what we said, for a test's log.
func told(got []reply) string {
	if len(got) == 0 {
		return "; no answer came"
	}
	last := got[len(got)-1]
	return "; the last answer: " + http.StatusText(last.status) + " " + last.code() + " " + last.body
}

// ours are headers that a request has after its way through the tunnel.
var ours = []string{"X-Request-Id", "Traceparent", "Tracestate"}

// compare holds a request that came through the tunnel against the same one
// without it.
func (r *rig[C]) compare(t *testing.T, way string, c call[C], got, want request) {
	t.Helper()
	if got.Method != want.Method || !slices.Equal(segments(got), segments(want)) {
		t.Errorf("%s: the VCS got %s %s, without us %s %s", way, got.Method, got.RequestURI, want.Method, want.RequestURI)
	}
	if g, w := query(t, got), query(t, want); !reflect.DeepEqual(g, w) {
		t.Errorf("%s: the VCS got the query %v, without us %v", way, g, w)
	}
	same := c.sameBody
	if same == nil {
		same = func(got, want string) bool { return got == want }
	}
	if !same(got.body, want.body) {
		t.Errorf("%s: the VCS got the body %s, without us %s", way, got.body, want.body)
	}
	for name, values := range want.Header {
		if name == "Content-Length" && c.sameBody != nil {
			continue
		}
		if name == "Content-Type" {
			values = plainTypes(values)
		}
		if g := got.Header[name]; slices.Contains(r.dropped, name) {
			if g != nil {
				t.Errorf("%s: the VCS got %s: %q, which is listed as dropped", way, name, g)
			}
		} else if !slices.Equal(g, values) {
			t.Errorf("%s: the VCS got %s: %q, without us %q", way, name, g, values)
		}
	}
	for name := range got.Header {
		if want.Header[name] == nil && !slices.Contains(ours, name) {
			t.Errorf("%s: the VCS got %s, which the library didn't send", way, name)
		}
	}
}

// plainTypes are media types without the charset, which the agent leaves out: all
// that it lets through is UTF-8.
func plainTypes(types []string) []string {
	plain := slices.Clone(types)
	for i, t := range plain {
		if media, params, err := mime.ParseMediaType(t); err == nil && strings.EqualFold(params["charset"], "utf-8") {
			delete(params, "charset")
			plain[i] = mime.FormatMediaType(media, params)
		}
	}
	return plain
}

// segments are a request's path, split before it's decoded.
func segments(r request) []string { return split(r.URL.EscapedPath()) }

func wantMethod(want string) string {
	method, _, _ := strings.Cut(want, " ")
	return method
}

func wantSegments(want string) []string {
	_, path, _ := strings.Cut(want, " ")
	return split(path)
}

func split(escaped string) []string {
	segs := strings.Split(escaped, "/")
	for i, s := range segs {
		if plain, err := url.PathUnescape(s); err == nil {
			segs[i] = plain
		}
	}
	return segs
}

func query(t *testing.T, r request) url.Values {
	t.Helper()
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		t.Errorf("the query %q: %v", r.URL.RawQuery, err)
	}
	return values
}
