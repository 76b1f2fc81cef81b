package gateway_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"vcsagent/transport"
)

// post is the header section of a request whose body is the test's to send.
func post(path, fields string) string {
	return "POST /private/gitlab" + path + " HTTP/1.1\r\nHost: gw\r\nVCS-Gateway-Key: " + callerKey + "\r\n" + fields + "\r\n"
}

// An answer that comes before the request's body has gets to the caller at once
// and gives the stream back, though the body never ends.
func TestEarlyAnswer(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		a := f.join(t, options{mode: mode}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/whole" {
				io.Copy(io.Discard, r.Body)
			}
			w.WriteHeader(413)
		})
		defer a.kill()
		for _, fields := range []string{"Content-Length: 1000\r\n", "Content-Length: 10000000\r\n", "Transfer-Encoding: chunked\r\n"} {
			t.Run(strings.TrimSpace(fields), func(t *testing.T) {
				conn := f.raw(t, post("/early", fields))
				defer conn.Close()
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil || resp.StatusCode != 413 || !resp.Close {
					t.Fatal(resp, err)
				}
				// The only stream is free.
				if resp, body := send(t, f.request(t, "POST", "/whole", strings.NewReader("x"))); resp.StatusCode != 413 {
					t.Errorf("status %d: %s", resp.StatusCode, body)
				}
			})
		}
	})
}

// A refusal doesn't wait for a body either, and nobody without a key holds a
// connection by not sending one.
func TestRefusalDoesNotWaitForTheBody(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, fields := range []string{"Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"} {
		t.Run(strings.TrimSpace(fields), func(t *testing.T) {
			t.Parallel()
			conn := f.raw(t, "POST /private/gitlab/x HTTP/1.1\r\nHost: gw\r\n"+fields+"\r\n")
			in := bufio.NewReader(conn)
			resp, err := http.ReadResponse(in, nil)
			if err != nil || resp.StatusCode != 401 {
				t.Fatal(resp, err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Error(err)
			}
			if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("the connection isn't closed: %v", err)
			}
		})
	}
}

// What follows an early answer is the rest of a body, never the next request:
// net/http can't tell them apart any more, and doesn't survive the attempt.
func TestNothingFollowsAnEarlyAnswer(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		served := make(chan struct{}, 8)
		a := f.join(t, options{mode: mode}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/next" {
				io.Copy(io.Discard, r.Body)
				served <- struct{}{}
			}
		})
		defer a.kill()
		for _, rest := range []struct{ fields, body string }{
			{"Content-Length: 4\r\n", "body"},
			{"Transfer-Encoding: chunked\r\n", "4\r\nbody\r\n0\r\n\r\n"},
		} {
			conn := f.raw(t, post("/early", rest.fields))
			in := bufio.NewReader(conn)
			resp, err := http.ReadResponse(in, nil)
			if err != nil || resp.StatusCode != 200 || !resp.Close {
				t.Fatal(resp, err)
			}
			if _, err := io.WriteString(conn, rest.body+post("/next", "Content-Length: 2\r\n")+"ab"); err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, in) // until the connection ends
			if len(served) != 0 {
				t.Fatal("the next request was served")
			}
			if resp, body := send(t, f.request(t, "POST", "/next", strings.NewReader("ab"))); resp.StatusCode != 200 {
				t.Errorf("status %d: %s", resp.StatusCode, body)
			}
			<-served
		}
	})
}

// A connection on which every body was read to its end is used again and again.
func TestConnectionsAreReused(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		rec := &recorder{}
		a := f.join(t, options{mode: mode}, rec.ServeHTTP)
		defer a.kill()
		next := "Content-Length: 4\r\n"
		conn := f.raw(t, "")
		in := bufio.NewReader(conn)
		for i := range 20 {
			body := "body"
			if i%2 == 1 {
				body = "4\r\nbody\r\n0\r\n\r\n"
				next = "Transfer-Encoding: chunked\r\n"
			} else {
				next = "Content-Length: 4\r\n"
			}
			if _, err := io.WriteString(conn, post("/x", next)+body); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(in, nil)
			if err != nil || resp.StatusCode != 200 || resp.Close {
				t.Fatal(i, resp, err)
			}
			io.Copy(io.Discard, resp.Body)
			if _, got := rec.one(t); got != "body" {
				t.Errorf("the agent got %q", got)
			}
		}
	})
}

// A connection whose request was refused with its body unread, but there, is
// good for the next one.
func TestConnectionOutlivesARefusal(t *testing.T) {
	f := start(t)
	f.join(t, options{}, answer("served"))
	conn := f.raw(t, "POST /private/none/x HTTP/1.1\r\nHost: gw\r\nVCS-Gateway-Key: "+callerKey+"\r\nContent-Length: 4\r\n\r\nbody"+post("/x", "Content-Length: 2\r\n")+"ab")
	in := bufio.NewReader(conn)
	for _, want := range []int{403, 200} {
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != want {
			t.Fatal(resp, err)
		}
		io.Copy(io.Discard, resp.Body)
	}
}

// A caller that breaks off its own body went away; the agent isn't to blame, and
// the request ends all the way down.
func TestCallerBreaksOffItsBody(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		arrived, bodies := make(chan struct{}, 1), make(chan error, 1)
		a := f.join(t, options{mode: mode}, func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			if r.URL.Path == "/answering" {
				io.WriteString(w, "begun")
				http.NewResponseController(w).Flush()
			}
			_, err := io.Copy(io.Discard, r.Body)
			bodies <- err
			if err != nil {
				panic(http.ErrAbortHandler)
			}
		})
		defer a.kill()
		for _, path := range []string{"/silent", "/answering"} {
			for _, fields := range []string{"Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"} {
				id := "broken" + string(mode) + path + fields[:7]
				conn := f.raw(t, post(path, "X-Request-Id: "+id+"\r\n"+fields)+"5\r\nabcde\r\n")
				if path == "/answering" {
					if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
						t.Fatal(err)
					}
				}
				receive(t, arrived) // else a reset may reach the agent before the request
				conn.Close()
				if err := receive(t, bodies); err == nil {
					t.Error("the agent took the body for whole")
				}
				line := f.log.await(t, "request", "id", id)
				if line["outcome"] != "cancelled" || line["level"] != "INFO" {
					t.Errorf("%s %q: %v", path, fields, line)
				}
			}
		}
	})
}

// A body that can't be read as HTTP is the caller's fault.
func TestMalformedBody(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		arrived, bodies := make(chan struct{}, 1), make(chan error, 1)
		a := f.join(t, options{mode: mode}, func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			_, err := io.Copy(io.Discard, r.Body)
			bodies <- err
			panic(http.ErrAbortHandler)
		})
		defer a.kill()
		id := "malformed-" + string(mode)
		conn := f.raw(t, post("/x", "X-Request-Id: "+id+"\r\nTransfer-Encoding: chunked\r\n")+"5\r\nabcde\r\n")
		receive(t, arrived)
		if _, err := io.WriteString(conn, "nothing like a chunk\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if p := problemIn(t, resp, string(body)); p.Status != 400 || p.Code != "body_unreadable" {
			t.Errorf("%+v", p)
		}
		if err := receive(t, bodies); err == nil {
			t.Error("the agent took the body for whole")
		}
		if line := f.log.await(t, "request", "id", id); line["outcome"] != "refused" || line["error"] == nil {
			t.Errorf("%v", line)
		}
	})
}

// A caller that goes away while it waits for the answer, or in the middle of it,
// ends the request all the way down.
func TestCallerGoesAway(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		cancelled := make(chan struct{}, 1)
		arrived := make(chan struct{}, 1)
		a := f.join(t, options{mode: mode}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/begun" {
				io.WriteString(w, "begun")
				http.NewResponseController(w).Flush()
			}
			arrived <- struct{}{}
			<-r.Context().Done()
			cancelled <- struct{}{}
		})
		defer a.kill()
		for _, path := range []string{"/begun", "/waiting"} {
			id := string(mode) + path
			conn := f.raw(t, "GET /private/gitlab"+path+" HTTP/1.1\r\nHost: gw\r\nX-Request-Id: "+id+"\r\nVCS-Gateway-Key: "+callerKey+"\r\n\r\n")
			receive(t, arrived)
			if path == "/begun" {
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
					t.Fatal(err)
				}
			}
			conn.Close()
			receive(t, cancelled)
			line := f.log.await(t, "request", "id", id)
			status := map[string]float64{"/begun": 200, "/waiting": 499}[path]
			if line["outcome"] != "cancelled" || line["status_code"] != status || line["level"] != "INFO" {
				t.Errorf("%v", line)
			}
		}
	})
}

// An answer that breaks off at the agent looks broken off to the caller.
func TestCutAnswer(t *testing.T) {
	f := start(t)
	const begun = 64 << 10 // more than buffers hold back
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		cut := make(chan struct{})
		a := f.join(t, options{mode: mode}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/length" {
				w.Header().Set("Content-Length", strconv.Itoa(2*begun))
			}
			io.CopyN(w, zeros{}, begun)
			http.NewResponseController(w).Flush()
			<-cut
			panic(http.ErrAbortHandler)
		})
		defer a.kill()
		for _, path := range []string{"/length", "/chunked"} {
			r := f.request(t, "GET", path, nil)
			id := string(mode) + path
			r.Header.Set("X-Request-Id", id)
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, resp.Body, begun/2); err != nil {
				t.Fatal(err)
			}
			cut <- struct{}{}
			if _, err := io.Copy(io.Discard, resp.Body); err == nil {
				t.Errorf("%s: the answer looks whole", path)
			}
			resp.Body.Close()
			line := f.log.await(t, "request", "id", id)
			if line["outcome"] != "cut" || line["level"] != "WARN" || line["status_code"] != 200.0 {
				t.Errorf("%v", line)
			}
		}
	})
}

// When the agent goes away, so does what it was doing: as a coded answer if none
// began, else as an answer that breaks off.
func TestAgentGoesAway(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		for _, path := range []string{"/waiting", "/begun"} {
			arrived := make(chan struct{}, 1)
			a := f.join(t, options{mode: mode}, func(w http.ResponseWriter, r *http.Request) {
				arrived <- struct{}{}
				if r.URL.Path == "/begun" {
					io.WriteString(w, "begun")
					http.NewResponseController(w).Flush()
				}
				<-r.Context().Done()
				panic(http.ErrAbortHandler)
			})
			id := string(mode) + path
			conn := f.raw(t, "GET /private/gitlab"+path+" HTTP/1.1\r\nHost: gw\r\nX-Request-Id: "+id+"\r\nVCS-Gateway-Key: "+callerKey+"\r\n\r\n")
			in := bufio.NewReader(conn)
			receive(t, arrived)
			if path == "/begun" {
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
					t.Fatal(err)
				}
				a.kill()
				if _, err := io.Copy(io.Discard, resp.Body); err == nil {
					t.Error("the answer looks whole")
				}
				if line := f.log.await(t, "request", "id", id); line["outcome"] != "cut" {
					t.Errorf("%v", line)
				}
				continue
			}
			a.kill()
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			line := f.log.await(t, "request", "id", id)
			if p := problemIn(t, resp, string(body)); p.Status != 502 || p.Code != "agent_lost" || p.ID != id {
				t.Errorf("%+v", p)
			}
			if line["outcome"] != "no_agent" || line["code"] != "agent_lost" || line["error"] == nil {
				t.Errorf("%v", line)
			}
			f.awaitAgents(t, f.pool.ID, func(ids []string) bool { return len(ids) == 0 })
			resp, after := f.get(t, "/x")
			if p := problemIn(t, resp, after); p.Status != 503 || p.Code != "no_agent" || resp.Header.Get("Retry-After") != "5" {
				t.Errorf("%+v, %v", p, resp.Header)
			}
		}
	})
}

// An agent that goes away before the request's body has come is answered for at
// once, and nothing can follow on that connection.
func TestAgentGoesAwayBeforeTheBody(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		g := newGate()
		a := f.join(t, options{mode: mode}, g.ServeHTTP)
		conn := f.raw(t, post("/x", "Content-Length: 4\r\n"))
		in := bufio.NewReader(conn)
		receive(t, g.arrived)
		a.kill()
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != 502 || !resp.Close {
			t.Fatal(resp, err)
		}
		io.WriteString(conn, "body"+post("/next", "Content-Length: 2\r\n")+"ab")
		io.Copy(io.Discard, in) // until the connection ends
		f.awaitAgents(t, f.pool.ID, func(ids []string) bool { return len(ids) == 0 })
		if resp, body := f.get(t, "/x"); problemIn(t, resp, body).Code != "no_agent" {
			t.Errorf("%s", body)
		}
	})
}

// Bodies of some size pass both ways at the same time.
func TestBodiesBothWays(t *testing.T) {
	f := start(t)
	const size = 3 << 20
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		a := f.join(t, options{mode: mode}, func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			io.Copy(w, r.Body)
		})
		defer a.kill()
		for _, body := range []io.Reader{io.LimitReader(zeros{}, size), strings.NewReader(strings.Repeat("x", size))} {
			r := f.request(t, "PUT", "/x", body)
			id := fmt.Sprintf("%s-%d", mode, r.ContentLength)
			r.Header.Set("X-Request-Id", id)
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if n != size || err != nil {
				t.Errorf("%d bytes came back, %v", n, err)
			}
			if line := f.log.await(t, "request", "id", id); line["bytes_in"] != float64(size) || line["bytes_out"] != float64(size) || line["outcome"] != "served" {
				t.Errorf("%v", line)
			}
		}
	})
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Each part of an answer without a length gets to the caller as it comes.
func TestAnswersAreNotHeldBack(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		step := make(chan struct{})
		a := f.join(t, options{mode: mode}, func(w http.ResponseWriter, r *http.Request) {
			for range 3 {
				io.WriteString(w, "part ")
				http.NewResponseController(w).Flush()
				<-step
			}
		})
		defer a.kill()
		resp, err := client.Do(f.request(t, "GET", "/x", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		part := make([]byte, 5)
		for range 3 {
			if _, err := io.ReadFull(resp.Body, part); err != nil || string(part) != "part " {
				t.Fatalf("%q, %v", part, err)
			}
			step <- struct{}{}
		}
	})
}

// Headers over what the carriers take are refused here, and cost no session.
func TestHeadersOverTheLimit(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		rec := &recorder{}
		a := f.join(t, options{mode: mode}, rec.ServeHTTP)
		defer a.kill()
		for _, tt := range []struct {
			name   string
			fields string
			status int
		}{
			{"one that fits", "X-A: " + strings.Repeat("a", 100<<10) + "\r\n", 200},
			{"one that doesn't", "X-A: " + strings.Repeat("a", 140<<10) + "\r\n", 431},
			{"many that fit", strings.Repeat("A: b\r\n", 5000), 200},
			{"many that are short but too much together", strings.Repeat("A: b\r\n", 15000), 431},
			{"many names", manyNames(12000), 431},
		} {
			t.Run(tt.name, func(t *testing.T) {
				rec.take()
				conn := f.raw(t, "GET /private/gitlab/x HTTP/1.1\r\nHost: gw\r\nVCS-Gateway-Key: "+callerKey+"\r\n"+tt.fields+"\r\n")
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil || resp.StatusCode != tt.status {
					t.Fatal(resp, err)
				}
				if seen, _ := rec.take(); (len(seen) == 1) != (tt.status == 200) {
					t.Errorf("the agent got %d requests", len(seen))
				}
				if resp, body := f.get(t, "/after"); resp.StatusCode != 200 {
					t.Errorf("after it: status %d: %s", resp.StatusCode, body)
				}
			})
		}
	})
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "X%d: b\r\n", i)
	}
	return b.String()
}

// A target may be long, too.
func TestLongTarget(t *testing.T) {
	f := start(t)
	rec := &recorder{}
	f.join(t, options{}, rec.ServeHTTP)
	path := "/" + strings.Repeat("a", 100<<10)
	if resp, body := f.get(t, path); resp.StatusCode != 200 {
		t.Fatalf("status %d: %s", resp.StatusCode, body)
	}
	if got, _ := rec.one(t); got.RequestURI != path {
		t.Errorf("the agent got a target of %d bytes", len(got.RequestURI))
	}
	line := f.log.lines("request")[0]
	if logged := line["path"].(string); len(logged) > 4<<10 {
		t.Errorf("the log has %d bytes of it", len(logged))
	}
}

// A body that stands still doesn't keep its stream: it is given up and its
// connection ended. One that came whole leaves its connection usable however long
// it rests.
func TestBodyThatStandsStill(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		a := f.join(t, options{mode: mode}, func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				panic(http.ErrAbortHandler)
			}
			io.WriteString(w, "whole")
		})
		defer a.kill()
		conn := f.raw(t, post("/still", "X-Request-Id: still-"+string(mode)+"\r\nContent-Length: 1000\r\n")+"abcde")
		conn.SetReadDeadline(time.Now().Add(patience))
		// net/http takes the late read for the caller's end: nobody is answered.
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the connection is still open")
		}
		if line := f.log.await(t, "request", "id", "still-"+string(mode)); line["outcome"] != "cancelled" {
			t.Errorf("the gateway's line: %v", line)
		}

		// Two whole bodies on one connection, the second after a rest longer than the limit.
		conn = f.raw(t, post("/whole", "Content-Length: 5\r\n")+"abcde")
		in := bufio.NewReader(conn)
		for i := range 2 {
			conn.SetReadDeadline(time.Now().Add(patience))
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(body) != "whole" || err != nil {
				t.Errorf("whole body %d: %d %q, %v", i, resp.StatusCode, body, err)
			}
			if i == 0 {
				<-time.After(standstill + time.Second)
				io.WriteString(conn, post("/whole", "Content-Length: 5\r\n")+"abcde")
			}
		}
	})
}
