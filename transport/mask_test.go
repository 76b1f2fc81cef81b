package transport_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"vcsagent/transport"
)

func TestMaskTarget(t *testing.T) {
	for _, tc := range []struct{ target, want string }{
		{"/api/v4/projects/group%2Frepo", "/api/v4/projects/group%2Frepo"},
		{"/a?page=2&per_page=100", "/a?page=2&per_page=100"},
		{"/a?private_token=s3cret", "/a?private_token=[masked]"},
		{"/a?page=2&private_token=s3cret&per_page=1", "/a?page=2&private_token=[masked]&per_page=1"},
		{"/a?PRIVATE_TOKEN=s3cret", "/a?PRIVATE_TOKEN=[masked]"},
		{"/a?%70rivate%5Ftoken=s3cret", "/a?%70rivate%5Ftoken=[masked]"},
		{"/a?tok%65n[]=s3cret&tok%65n[]=s3cret2", "/a?tok%65n[]=[masked]&tok%65n[]=[masked]"},
		{"/a?token=s3cret;x=s3cret", "/a?token=[masked]"}, // one value, or two: servers differ
		{"/a?x=1;token=s3cret", "/a?x=1;token=[masked]"},
		{"/a?token=s3=cret==", "/a?token=[masked]"},
		{"/a?token=s3\"cret <s3cret>", "/a?token=[masked]"},
		{"/a?token=", "/a?token="},
		{"/a?token", "/a?token"},
		{"/a?token=&x=1", "/a?token=&x=1"},
		{"/a?X-Amz-Signature=s3cret&X-Amz-Date=1", "/a?X-Amz-Signature=[masked]&X-Amz-Date=1"},
		{"/a?client_secret=s3cret&code=s3cret", "/a?client_secret=[masked]&code=[masked]"},
		{"/a?key=s3cret&state=s3cret&sig=s3cret&jwt=s3cret", "/a?key=[masked]&state=[masked]&sig=[masked]&jwt=[masked]"},
		{"/a?keys=1&statement=2&codec=3", "/a?keys=1&statement=2&codec=3"}, // near-misses
		{"/a?x=1?token=s3cret", "/a?x=1?token=[masked]"},
		{"/a#access_token=s3cret", "/a#access_token=[masked]"},
		{"https://h/cb#state=1&access_token=s3cret", "https://h/cb#state=[masked]&access_token=[masked]"},
		{"http://user:s3cret@pool.private/x", "http://[masked]@pool.private/x"},
		{"http://s3cret@h", "http://[masked]@h"},
		{"http://user:s3@cret@h/p?q=1", "http://[masked]@h/p?q=1"},
		{"http://pool.private/x?url=https://user:s3cret@h/", "http://pool.private/x?url=https://[masked]@h/"},
		{"/x?a=http://h/&url=https://user:s3cret@h/", "/x?a=http://h/&url=https://[masked]@h/"},
		{"http://h/p@v2?mail=a@b", "http://h/p@v2?mail=a@b"},
		{"", ""},
	} {
		if got := transport.MaskTarget(tc.target); got != tc.want {
			t.Errorf("%s\ngives %s\nwant  %s", tc.target, got, tc.want)
		}
	}
	if got := transport.MaskTarget("/" + strings.Repeat("a", 10_000)); len(got) > 2100 || !strings.HasSuffix(got, "…") {
		t.Errorf("a long target becomes %d bytes", len(got))
	}
}

func TestMaskHeader(t *testing.T) {
	in := http.Header{
		"Authorization": {"Bearer s3cret", "Basic s3cret"}, "Proxy-Authorization": {"Basic s3cret"}, "Private-Token": {"s3cret"}, "Job-Token": {"s3cret"},
		"Cookie": {"a=s3cret"}, "Set-Cookie": {"a=s3cret"}, "X-Gitlab-Token": {"s3cret"}, "X-Hub-Signature-256": {"s3cret"}, "Vcs-Gateway-Key": {"s3cret"},
		"private-token": {"s3cret"}, "X-Api-Key": {"s3cret"},
		"Location": {"https://u:s3cret@h/x?private_token=s3cret"},
		"Link":     {`<https://h/a?private_token=s3cret&page=2>; rel="next", <https://h/a?page=9&private_token=s3cret>; rel="last"`},
		"X-Other":  {"see /a?token=s3cret now"},
		"Accept":   {"application/json;q=0.9"}, "Proxy-Authenticate": {`Basic realm="x"`}, "Etag": {`"a"`, `"b"`}, "Tracestate": {"a=1,b=2"},
	}
	keep := reflect.DeepEqual
	before := in.Clone()
	out := transport.MaskHeader(in)
	if !keep(in, before) {
		t.Error("the header itself was changed")
	}
	if text := fmt.Sprint(out); strings.Contains(text, "s3cret") {
		t.Errorf("left in %s", text)
	}
	for name, want := range map[string][]string{
		"Authorization": {"[masked]", "[masked]"}, "Accept": in["Accept"], "Proxy-Authenticate": in["Proxy-Authenticate"], "Etag": in["Etag"], "Tracestate": in["Tracestate"],
		"Location": {"https://[masked]@h/x?private_token=[masked]"},
		"Link":     {`<https://h/a?private_token=[masked]&page=2>; rel="next", <https://h/a?page=9&private_token=[masked]>; rel="last"`},
		"X-Other":  {"see /a?token=[masked] now"},
	} {
		if !keep(out[name], want) {
			t.Errorf("%s: %q, want %q", name, out[name], want)
		}
	}
	if v := transport.MaskHeader(http.Header{"X": {strings.Repeat("a", 10_000)}}).Get("X"); len(v) > 2100 {
		t.Errorf("a long value becomes %d bytes", len(v))
	}
}

func TestMaskBody(t *testing.T) {
	for _, tc := range []struct{ body, want string }{
		{`{"name":"x","token":"s3cret","state":"opened","key":"PROJ"}`, `{"name":"x","token":"[masked]","state":"opened","key":"PROJ"}`},
		{`{"token" : "s3\"cret" , "n": 1}`, `{"token" : "[masked]" , "n": 1}`},
		{`{"\u0074oken":"s3cret"}`, `{"\u0074oken":"[masked]"}`},
		{`{"tokens":["s3cret",{"a":"}s3cret"}],"n":1}`, `{"tokens":"[masked]","n":1}`},
		{`{"secret":{"value":"s3cret"}}`, `{"secret":"[masked]"}`},
		{`{"password":12345,"n":1}`, `{"password":"[masked]","n":1}`},
		{`{"password":12345}`, `{"password":"[masked]"}`},
		{`{"has_token":true,"token":null,"n":1}`, `{"has_token":true,"token":null,"n":1}`},
		{`[{"x":{"private_key":"s3cret"}},"token","s"]`, `[{"x":{"private_key":"[masked]"}},"token","s"]`},
		{`{"` + strings.Repeat("a", 100) + `_token_` + strings.Repeat("b", 100) + `":"s3cret"}`, `{"` + strings.Repeat("a", 100) + `_token_` + strings.Repeat("b", 100) + `":"[masked]"}`},
		{`{"token":"s3cret, and the body was cut off he`, `{"token":"[masked]"`},
		{`{"token":["s3cret","the body was cut off he`, `{"token":"[masked]"`},
		{`{"a":"b","tok`, `{"a":"b","tok`},
		{`{"a":"b","token":`, `{"a":"b","token":`},
		{`{"url":"https://raw.h/x?token=s3cret","n":1}`, `{"url":"https://raw.h/x?token=[masked]","n":1}`},
		{`{"url":"https://raw.h/x?a=1\u0026token=s3cret"}`, `{"url":"https://raw.h/x?a=1\u0026token=[masked]"}`},
		{`{"url":"https://raw.h/x?a=1\u0026sig=s3cret"}`, `{"url":"https://raw.h/x?a=1\u0026sig=[masked]"}`},
		{`{"url":"https://oauth2:s3cret@h/x.git"}`, `{"url":"https://[masked]@h/x.git"}`},
		{"{\"token\":\"s3cret\"}\n{\"token\":\"s3cret\"}", "{\"token\":\"[masked]\"}\n{\"token\":\"[masked]\"}"},
		{`grant_type=client_credentials&client_secret=s3cret&state=x`, `grant_type=client_credentials&client_secret=[masked]&state=x`},
		{`%74oken=s3cret&x=1`, `%74oken=[masked]&x=1`},
		{`token=s3cret s3cret`, `token=[masked]`},
		{"--b\r\nContent-Disposition: form-data; name=\"token\"\r\nContent-Type: text/plain\r\n\r\ns3cret\r\ns3cret\r\n--b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--b--\r\n",
			"--b\r\nContent-Disposition: form-data; name=\"token\"\r\nContent-Type: text/plain\r\n\r\n[masked]\r\n--b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--b--\r\n"},
		{"--b\r\nContent-Disposition: form-data; name=password\r\n\r\ns3cret, cut of", "--b\r\nContent-Disposition: form-data; name=password\r\n\r\n[masked]"},
		{"--b\r\nContent-Disposition: form-data; name=\"sig\"\r\n\r\ns3cret\r\n--b--", "--b\r\nContent-Disposition: form-data; name=\"sig\"\r\n\r\n[masked]\r\n--b--"},
		{"plain text", "plain text"},
		{"", ""},
	} {
		if got := transport.MaskBody([]byte(tc.body)); got != tc.want {
			t.Errorf("%s\ngives %s\nwant  %s", tc.body, got, tc.want)
		}
	}
}

// Text from outside can't make a line of its own, nor reach a terminal, in either
// of the log's forms.
func TestLoggedTextForgesNothing(t *testing.T) {
	hostile := "/a\n{\"level\":\"INFO\",\"msg\":\"forged\"}\r\ntime=x level=INFO msg=forged\x1b[2J\x00\" b=c \u2028"
	masked := transport.MaskTarget(hostile)
	for name, handler := range logHandlers() {
		var out bytes.Buffer
		slog.New(handler(&out)).Info("served", "path", masked, "headers", transport.MaskHeader(http.Header{"X": {hostile}}), "body", transport.MaskBody([]byte(hostile)))
		if lines := strings.Count(out.String(), "\n"); lines != 1 || strings.ContainsAny(out.String(), "\r\x1b\x00") {
			t.Errorf("%s: %d lines: %q", name, lines, &out)
		}
	}
}

// FuzzMask puts a secret under a secret name in every place where one can be.
func FuzzMask(f *testing.F) {
	const secret = "zS3cr3t"
	names := []string{"private_token", "Access-Token", "client_secret", "password", "X-Amz-Signature", "api_key", "jwt", "sig", "authorization"}
	f.Add(0, "", "", "", "")
	f.Add(1, "a&b=", "=\"<", "page=2&", "&x=1")
	f.Add(2, `"}`, `\`, `{"`, ";")
	f.Add(3, "\r\n--b", "--", "?", "#")
	f.Fuzz(func(t *testing.T, n int, before, after, left, right string) {
		name := names[uint(n)%uint(len(names))]
		value := before + secret + after
		missing := func(where, got string) {
			t.Helper()
			if strings.Contains(got, secret) {
				t.Errorf("%s, %q: %q", where, name, got)
			}
		}
		escapedName := strings.ReplaceAll(name, "s", "%73")
		for _, key := range []string{name, escapedName} {
			pair := key + "=" + url.QueryEscape(value)
			missing("query", transport.MaskTarget("/p?"+left+"&"+pair+"&"+right))
			missing("query, first", transport.MaskTarget("/p?"+pair))
			missing("fragment", transport.MaskTarget("https://h/p#"+pair))
			missing("link", transport.MaskHeader(http.Header{"Link": {"<https://h/p?" + url.QueryEscape(left) + "&" + pair + `>; rel="next"`}}).Get("Link"))
			missing("form", transport.MaskBody([]byte("x="+url.QueryEscape(left)+"&"+pair+"&y="+url.QueryEscape(right))))
			// Raw, as no client should send it; only an "&" would end it.
			if !strings.Contains(before, "&") {
				missing("raw query", transport.MaskTarget("/p?"+key+"="+value))
			}
		}
		missing("header", fmt.Sprint(transport.MaskHeader(http.Header{"X-" + name: {value}})))
		missing("userinfo", transport.MaskTarget("https://u:"+url.QueryEscape(value)+"@h/"+url.PathEscape(left)))

		for _, v := range []any{value, []string{left, value}, map[string]any{right: value}} {
			body, err := json.Marshal(map[string]any{"a": left, name: v, "z": map[string]any{name: v, "y": right}, "u": "https://h/?x=1&" + name + "=" + url.QueryEscape(value)})
			if err != nil {
				t.Fatal(err)
			}
			missing("JSON", transport.MaskBody(body))
			missing("JSON, cut off", transport.MaskBody(body[:len(body)-len(body)/3]))
			var indented bytes.Buffer
			json.Indent(&indented, body, " ", "\t")
			missing("indented JSON", transport.MaskBody(indented.Bytes()))
		}

		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		w.WriteField("a", "b")
		w.WriteField(name, value)
		w.WriteField("c", "d")
		w.Close()
		if !strings.Contains(value, "\n--") { // that would end the field for the mask too
			missing("multipart", transport.MaskBody(form.Bytes()))
		}
	})
}
