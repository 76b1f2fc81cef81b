package api_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"vcsagent/gateway/api"
	"vcsagent/transport"
)

func TestClientMakesAPoolAndAKey(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.admin)
	pool, err := client.CreatePool(t.Context(), api.NewPool{Name: "new", Description: "two\nlines"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transport.ParseToken(pool.Token.Reveal()); err != nil || pool.Name != "new" || pool.Description != "two\nlines" {
		t.Errorf("pool is %+v, token: %v", pool, err)
	}
	key, err := client.CreateKey(t.Context(), api.NewKey{Name: "new", Pools: []string{pool.ID}})
	if err != nil {
		t.Fatal(err)
	}
	if len(key.Pools) != 1 || key.Pools[0] != "new" || !strings.HasPrefix(key.Secret.Reveal(), "vcsgw_") {
		t.Errorf("key is %+v", key)
	}
	for _, printed := range []string{fmt.Sprintf("%v %+v %#v", pool, pool, pool), fmt.Sprintf("%v %+v %#v", key, key, key)} {
		if strings.Contains(printed, key.Secret.Reveal()) || strings.Contains(printed, pool.Token.Reveal()) {
			t.Error("printing an answer shows its secret")
		}
	}
}

func TestClientErrorsAreTheAPIsSentences(t *testing.T) {
	f := newFixture(t)
	admin, caller := f.client(t, f.admin), f.client(t, f.caller)
	tests := []struct {
		name   string
		call   func() error
		status int
		code   string
		text   string
	}{
		{"duplicate", func() error { _, err := admin.CreatePool(t.Context(), api.NewPool{Name: "gitlab"}); return err }, 409, "exists",
			`A pool named "gitlab" already exists.`},
		{"unknown pool", func() error { _, err := admin.Pool(t.Context(), "git/lab?"); return err }, 404, "unknown_pool",
			`Pool "git/lab?" does not exist.`},
		{"caller's key", func() error { _, err := caller.Pools(t.Context()); return err }, 403, "forbidden",
			"The key backend is for calling pools: the API needs an admin key."},
	}
	for _, tt := range tests {
		var refused *api.Error
		if err := tt.call(); !errors.As(err, &refused) || refused.Status != tt.status || refused.Code != tt.code || err.Error() != tt.text {
			t.Errorf("%s: %#v", tt.name, err)
		}
	}
}

func TestClientAgainstSomethingElse(t *testing.T) {
	var followed bool
	mux := http.NewServeMux()
	mux.HandleFunc("/redirect/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/target", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/target", func(http.ResponseWriter, *http.Request) { followed = true })
	mux.HandleFunc("/html/", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) })
	mux.HandleFunc("/bad-gateway/", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadGateway) })
	mux.HandleFunc("/problem/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
		w.WriteHeader(http.StatusTeapot)
		w.Write([]byte(`{"code":"teapot","detail":"It is a teapot."}`))
	})
	mux.HandleFunc("/empty-problem/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusTeapot)
		w.Write([]byte(`{}`))
	})
	mux.HandleFunc("/endless/", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	tests := []struct{ path, want string }{
		{"/redirect", "307 Temporary Redirect (a redirect, which is not followed, to /target)"},
		{"/html", "is not the gateway's admin API, it said 200 OK"},
		{"/bad-gateway/", "is not the gateway's admin API, it said 502 Bad Gateway"},
		{"/problem", "It is a teapot."},
		{"/empty-problem", "is not the gateway's admin API, it said 418"},
		{"/endless", "more than 67108864 bytes"},
	}
	for _, tt := range tests {
		client, err := api.NewClient(server.URL+tt.path, "vcsgw_secret", &http.Client{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Pools(t.Context())
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "vcsgw_secret") {
			t.Errorf("%s: %v, want %q", tt.path, err, tt.want)
		}
	}
	if followed {
		t.Error("the redirect was followed")
	}
}

func TestClientWhenNothingListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + l.Addr().String()
	l.Close()
	client, err := api.NewClient(address, "vcsgw_secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Pools(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "the gateway at "+address+" can't be reached: ") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error is %v", err)
	}
}

func TestNewClientRefuses(t *testing.T) {
	tests := []struct {
		address string
		key     transport.Secret
		want    string // in the error; "" if it's fine
	}{
		{"http://127.0.0.1:8081", "k", ""},
		{"https://gateway.example/prefix/", "k", ""},
		{"127.0.0.1:8081", "k", "is not a URL"},
		{"gateway.example:8081", "k", "is not allowed"},
		{"", "k", "is not allowed"},
		{"ftp://gateway.example", "k", "is not allowed"},
		{"http://:8081", "k", "is not allowed"},
		{"http://gateway.example?x=y", "k", "is not allowed"},
		{"http://gateway.example#x", "k", "is not allowed"},
		{"http://user:pass@gateway.example", "k", "user or password"},
		{"http://gateway.example", "", "no admin key"},
		{"http://gateway.example", "one\ntwo", "characters that no key has"},
		{"http://gateway.example", "schlüssel", "characters that no key has"},
	}
	for _, tt := range tests {
		_, err := api.NewClient(tt.address, tt.key, nil)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("NewClient(%q): error %v, want %q", tt.address, err, tt.want)
		}
		if err != nil && (strings.Contains(err.Error(), "pass@") || tt.key != "" && tt.key != "k" && strings.Contains(err.Error(), tt.key.Reveal())) {
			t.Errorf("NewClient(%q): the error shows a secret: %v", tt.address, err)
		}
	}
}
