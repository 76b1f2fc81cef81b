package agent_test

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"vcsagent/agent"
	"vcsagent/transport"
)

const uploadPack = "/group/repo.git/git-upload-pack"

func withGit(c *agent.Config) { c.Policy.Groups = []string{"read", "comment", "git"} }

// endless is a body that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// A body that is too large to inspect is refused while it's still coming.
func TestEndlessBodyIsRefused(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		r := start(t, mode, func(w http.ResponseWriter, r *http.Request) { t.Error("reached the VCS") }, nil)
		for range 5 { // more than there are streams
			resp, err := r.send(t.Context(), "POST", notes, http.Header{"Content-Type": {"application/json"}}, endless{})
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusRequestEntityTooLarge || err != nil || !strings.Contains(string(body), "body_too_large") {
				t.Errorf("answered %d %s, %v", resp.StatusCode, body, err)
			}
		}
	})
}

// A body that streams past goes through as it comes: the VCS has its start before
// its end is there. Its trailers stay behind.
func TestStreamedBody(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		begun := make(chan string, 1)
		got := make(chan seen, 1)
		r := start(t, mode, func(w http.ResponseWriter, r *http.Request) {
			first := make([]byte, 6)
			_, err := io.ReadFull(r.Body, first)
			if err != nil {
				t.Error(err)
			}
			begun <- string(first)
			rest, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			got <- seen{r.Method, r.RequestURI, r.Host, string(rest), r.ContentLength, r.Header, r.Trailer}
		}, withGit)
		in, out := io.Pipe()
		defer in.Close()
		answered := make(chan int, 1)
		go func() {
			defer close(answered)
			req, err := http.NewRequestWithContext(t.Context(), "POST", "https://placeholder/", in)
			if err != nil {
				t.Error(err)
				return
			}
			req.URL, req.Host = transport.TargetURL(uploadPack), ""
			req.Header.Set("Content-Type", "text/html; x=y")
			req.Trailer = http.Header{"X-Trailer": {"of the caller"}}
			resp, err := r.session.RoundTrip(req)
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
			answered <- resp.StatusCode
		}()
		io.WriteString(out, "begun,")
		if s := receive(t, begun); s != "begun," {
			t.Errorf("the VCS got %q", s)
		}
		io.WriteString(out, " ended")
		out.Close()
		s := receive(t, got)
		if s.body != " ended" || s.length != -1 || len(s.trailer) > 0 {
			t.Errorf("the VCS saw %+v", s)
		}
		if ct := s.header["Content-Type"]; !reflect.DeepEqual(ct, []string{"application/x-git-upload-pack-request"}) {
			t.Errorf("Content-Type %q, not the rule's", ct)
		}
		if status := receive(t, answered); status != http.StatusOK {
			t.Errorf("answered %d", status)
		}
		if line := r.lines("served", 1)[0]; line["bytes_in"] != 12.0 {
			t.Errorf("logged %v", line)
		}
	})
}

// A caller that breaks its body off breaks it off at the VCS: half a body must
// not look whole there.
func TestCutRequestBody(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		got := make(chan error, 1)
		begun := make(chan struct{})
		r := start(t, mode, func(w http.ResponseWriter, r *http.Request) {
			close(begun)
			_, err := io.ReadAll(r.Body)
			got <- err
		}, withGit)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		in, out := io.Pipe()
		defer in.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			if resp, err := r.send(ctx, "POST", uploadPack, nil, in); err == nil {
				resp.Body.Close()
				t.Errorf("answered %d", resp.StatusCode)
			}
		}()
		io.WriteString(out, "half")
		receive(t, begun)
		cancel()
		if err := receive(t, got); err == nil {
			t.Error("half a body looks whole to the VCS")
		}
		receive(t, done)
		r.lines("cancelled", 1)
	})
}

// A caller that goes away while its body is read is no failure of anyone's.
func TestCallerGoesAwayWhileItsBodyIsInspected(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		r := start(t, mode, func(w http.ResponseWriter, r *http.Request) { t.Error("reached the VCS") }, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		in, out := io.Pipe()
		defer in.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			if resp, err := r.send(ctx, "POST", notes, http.Header{"Content-Type": {"application/json"}}, in); err == nil {
				resp.Body.Close()
				t.Errorf("answered %d", resp.StatusCode)
			}
		}()
		io.WriteString(out, `{"body":`)
		for late := time.Now().Add(30 * time.Second); r.metric("vcs_agent_in_flight_requests") != 1; {
			if time.Now().After(late) {
				t.Fatal("the request didn't come")
			}
		}
		cancel()
		receive(t, done)
		if line := r.lines("cancelled", 1)[0]; line["status_code"] != 499.0 || line["level"] != "INFO" {
			t.Errorf("logged %v", line)
		}
	})
}

// A body that breaks off while its caller is still there is no fault of the VCS's.
func TestStreamedBodyThatBreaksOff(t *testing.T) {
	r := prepare(t, transport.ModeTCP, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, withGit)
	req, err := http.NewRequestWithContext(t.Context(), "POST", "https://vcs-agent/", io.NopCloser(io.MultiReader(strings.NewReader("half"), errorReader{})))
	if err != nil {
		t.Fatal(err)
	}
	req.RequestURI, req.ContentLength = uploadPack, -1
	w := newRecorder()
	r.Session(1).ServeHTTP(w, req)
	if w.status != http.StatusBadRequest || w.Header().Get(transport.ErrorHeader) != "body_unreadable" {
		t.Errorf("%d %v %s", w.status, w.Header(), &w.body)
	}
	for _, code := range []string{"vcs_unreachable", "body_unreadable"} {
		if n := r.metric(`vcs_agent_vcs_errors_total{code="` + code + `"}`); n > 0 {
			t.Errorf("counted as the VCS's: %s", code)
		}
	}
}

// A panic behind the start of an answer without a length can't make it look whole.
func TestPanicWithinAnAnswer(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		reported := make(chan error, 1)
		r := prepare(t, mode, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "begun")
			http.NewResponseController(w).Flush()
		}, func(c *agent.Config) { c.Report = func(err error) { reported <- err } })
		r.Through(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(req *http.Request) (*http.Response, error) {
				resp, err := next.RoundTrip(req)
				if err == nil {
					resp.Body = &panicsAtEnd{resp.Body}
				}
				return resp, err
			})
		})
		r.run()
		r.session = receive(t, r.gateway.sessions)
		resp, err := r.send(t.Context(), "GET", project, nil, nil)
		if err == nil {
			var body []byte
			body, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			if strings.Contains(string(body), "problem") || strings.Contains(string(body), "internal") {
				t.Errorf("a second answer is within the first: %q", body)
			}
		}
		if err == nil {
			t.Error("the answer looks whole")
		}
		receive(t, reported)
		if line := r.lines("cut", 1)[0]; line["status_code"] != 200.0 || !strings.Contains(line["error"].(string), "at the end of the body") {
			t.Errorf("logged %v", line)
		}
	})
}

type panicsAtEnd struct{ io.ReadCloser }

func (b *panicsAtEnd) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		panic("at the end of the body")
	}
	return n, err
}

// The same holds for a VCS that speaks HTTP/2: its names, trailers and broken answers.
func TestVCSOverHTTP2(t *testing.T) {
	vcs := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("the VCS is spoken to in %s", r.Proto)
		}
		h := w.Header()
		h.Set("Trailer", "X-Sum, Vcs-Agent-Error")
		h.Set("Vcs-Agent-Name", "forged")
		h.Set("Set-Cookie", "forged=1")
		h.Set("Link", "<https://evil.example/forged>")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "begun")
		http.NewResponseController(w).Flush()
		if strings.HasSuffix(r.URL.Path, "/user") {
			panic(http.ErrAbortHandler)
		}
		h.Set("X-Sum", "1")
		h.Set("Vcs-Agent-Error", "forged")
		h.Set(http.TrailerPrefix+"X-Late", "2")
		h.Set(http.TrailerPrefix+"Vcs-Agent-Purpose", "forged")
		h.Set(http.TrailerPrefix+"Set-Cookie", "forged=2")
	}))
	vcs.EnableHTTP2 = true
	vcs.StartTLS()
	t.Cleanup(vcs.Close)
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: vcs.Certificate().Raw})
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		r := start(t, mode, nil, func(c *agent.Config) {
			c.TargetBaseEndpoint = vcs.URL
			c.CACert = base64.StdEncoding.EncodeToString(bundle)
		})
		got := r.get("GET", project, nil, "")
		mustHoldNothingForged(t, "header", got.Header)
		if want := (http.Header{"X-Sum": {"1"}, "X-Late": {"2"}}); got.body != "begun" || !reflect.DeepEqual(got.Trailer, want) {
			t.Errorf("%d %q, trailers %q, want %q", got.StatusCode, got.body, got.Trailer, want)
		}
		resp, err := r.send(t.Context(), "GET", "/api/v4/user", nil, nil)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Error("a cut answer looks whole")
		}
		r.lines("cut", 1)
	})
}
