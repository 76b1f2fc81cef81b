package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"vcsagent/gateway/api"
	"vcsagent/gateway/control"
	"vcsagent/transport"
)

// document is the description as the API serves it.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	w := httptest.NewRecorder()
	api.New(api.Config{Control: &control.Control{}}).ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/openapi.json", nil))
	return openapi3.NewLoader().LoadFromData(w.Body.Bytes())
})

func describedAPI(t *testing.T) *openapi3.T {
	t.Helper()
	d, err := document()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDescriptionIsValidOpenAPI(t *testing.T) {
	d := describedAPI(t)
	if !strings.HasPrefix(d.OpenAPI, "3.1.") {
		t.Errorf("it says that it is OpenAPI %s, want 3.1", d.OpenAPI)
	}
	if err := d.Validate(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestDescriptionIsServedToAnyone(t *testing.T) {
	f := newFixture(t)
	for _, authorization := range []string{"", "Bearer wrong", "Bearer " + f.caller.Reveal()} {
		resp, body := f.send(t, "GET", "/api/v1/openapi.json", authorization, "")
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Cache-Control") != "no-store" || body["openapi"] != "3.1.0" {
			t.Errorf("with Authorization %q: %s %v", authorization, resp.Status, resp.Header)
		}
	}
}

var inBraces = regexp.MustCompile(`\{(\w+)\}`)

// Every route is described, with its parameters, and all that is described is a
// route.
func TestDescriptionHasTheRoutes(t *testing.T) {
	d := describedAPI(t)
	described := map[string]bool{}
	for path, item := range d.Paths.Map() {
		for method := range item.Operations() {
			described[method+" "+path] = true
		}
	}
	for _, r := range api.Routes() {
		name := r.Method + " " + r.Path
		if !described[name] {
			t.Errorf("%s isn't described", name)
			continue
		}
		delete(described, name)
		item := d.Paths.Value(r.Path)
		op := item.GetOperation(r.Method)
		var path, query []string
		for _, p := range slices.Concat(item.Parameters, op.Parameters) {
			switch p.Value.In {
			case openapi3.ParameterInPath:
				path = append(path, p.Value.Name)
			case openapi3.ParameterInQuery:
				query = append(query, p.Value.Name)
			}
		}
		var want []string
		for _, m := range inBraces.FindAllStringSubmatch(r.Path, -1) {
			want = append(want, m[1])
		}
		if !sameSet(path, want) || !sameSet(query, r.Params) {
			t.Errorf("%s is described with the path's %v and the query's %v, want %v and %v", name, path, query, want, r.Params)
		}
		if open := op.Security != nil && len(*op.Security) == 0; open != r.Open {
			t.Errorf("%s: described as open: %v, want %v", name, open, r.Open)
		}
	}
	for name := range described {
		t.Errorf("%s is described and isn't a route", name)
	}
}

// codes are those of problem.go.
func codes(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "problem.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, is := n.(*ast.ValueSpec)
		if is && strings.HasPrefix(spec.Names[0].Name, "code") {
			code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, code)
		}
		return true
	})
	return codes
}

func TestDescriptionHasTheCodes(t *testing.T) {
	want := codes(t)
	var got []string
	for _, code := range describedAPI(t).Components.Schemas["Problem"].Value.Properties["code"].Value.Enum {
		got = append(got, code.(string))
	}
	if len(want) < 10 || !sameSet(got, want) {
		t.Errorf("the codes are described as %v, want %v", got, want)
	}
}

// The types' fields are those of the schemas, and required where they are always
// there.
func TestDescriptionHasTheTypes(t *testing.T) {
	d := describedAPI(t)
	types := map[string]any{
		"Limits": api.Limits{}, "LimitsChange": api.LimitsChange{},
		"Pool": api.Pool{}, "PoolDetail": api.PoolDetail{}, "NewPool": api.NewPool{}, "CreatedPool": api.CreatedPool{}, "PoolChange": api.PoolChange{},
		"Token": api.Token{}, "NewToken": api.NewToken{}, "CreatedToken": api.CreatedToken{},
		"Connection": control.Connection{}, "Check": control.Check{},
		"Key": api.Key{}, "NewKey": api.NewKey{}, "CreatedKey": api.CreatedKey{},
		"Request": api.Request{}, "RequestPage": api.RequestPage{}, "Bucket": api.Bucket{}, "Traffic": api.Traffic{},
		"Actor": api.Actor{}, "Target": api.Target{}, "AuditEntry": api.AuditEntry{}, "AuditPage": api.AuditPage{},
		"RequestCounts": api.RequestCounts{}, "Overview": api.Overview{},
	}
	for name, value := range types {
		schema := d.Components.Schemas[name]
		if schema == nil {
			t.Errorf("%s isn't described", name)
			continue
		}
		fields := map[string]field{}
		fieldsOf(reflect.TypeOf(value), fields)
		properties := map[string]field{}
		propertiesOf(schema.Value, properties)
		if !maps.Equal(fields, properties) {
			t.Errorf("%s is described as\n%v, want\n%v", name, properties, fields)
		}
	}
	// These are lists, or have no type that is exported.
	for name := range d.Components.Schemas {
		if _, ok := types[name]; !ok && !strings.HasSuffix(name, "List") && !slices.Contains([]string{"NoFields", "KeyChange", "Version", "Problem"}, name) {
			t.Errorf("%s is described and no type is held to it", name)
		}
	}
}

// field is what a field is in JSON.
type field struct {
	kind   string
	always bool // it isn't left out
}

func fieldsOf(t reflect.Type, into map[string]field) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			fieldsOf(f.Type, into)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		into[name] = field{kindOf(f.Type), options == ""}
	}
}

func kindOf(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time](), t == reflect.TypeFor[transport.Secret]():
		return "string"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64:
		return "integer"
	case reflect.Float64:
		return "number"
	case reflect.Slice:
		return "array"
	default:
		return "object"
	}
}

func propertiesOf(s *openapi3.Schema, into map[string]field) {
	for _, part := range s.AllOf {
		propertiesOf(part.Value, into)
	}
	for name, property := range s.Properties {
		kind := property.Value
		if len(kind.OneOf) > 0 {
			kind = kind.OneOf[0].Value // the other is null
		}
		into[name] = field{kind.Type.Slice()[0], slices.Contains(s.Required, name)}
	}
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// described holds all that goes through a handler to the description: each
// answer must be described, and each request to which the API doesn't say no.
func described(t *testing.T, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.Clone(context.WithoutCancel(r.Context()))
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked.Body, r.Body = io.NopCloser(bytes.NewReader(body)), io.NopCloser(bytes.NewReader(body))
		kept := &keeper{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(kept, r)
		if err := holds(asked, r, kept); err != nil {
			t.Errorf("%s %s: status %d isn't as described: %v", r.Method, r.URL.Path, kept.status, err)
		}
	})
}

// holds compares with the description what was asked and what was answered.
// matched is the request as the mux left it.
func holds(asked, matched *http.Request, kept *keeper) error {
	d, err := document()
	if err != nil {
		return err
	}
	path := strings.TrimPrefix(matched.Pattern[strings.Index(matched.Pattern, "/"):], "/api/v1")
	if matched.Method == http.MethodHead {
		return nil // as GET, without a body
	}
	item := d.Paths.Value(path)
	if item == nil || item.GetOperation(matched.Method) == nil { // 404 or 405, unless it's 401
		var problem any
		if err := json.Unmarshal(kept.body.Bytes(), &problem); err != nil {
			return err
		}
		return d.Components.Schemas["Problem"].Value.VisitJSON(problem, openapi3.EnableJSONSchema2020())
	}
	params := map[string]string{}
	for _, m := range inBraces.FindAllStringSubmatch(path, -1) {
		params[m[1]] = matched.PathValue(m[1])
	}
	options := &openapi3filter.Options{
		IncludeResponseStatus: true, RejectWhenRequestBodyNotSpecified: true, SkipSettingDefaults: true, MultiError: true,
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
	}
	in := &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, QueryParams: asked.URL.Query(), Options: options,
		Route: &routers.Route{Spec: d, Path: path, PathItem: item, Method: matched.Method, Operation: item.GetOperation(matched.Method)}}
	if kept.status < 400 {
		if err := openapi3filter.ValidateRequest(asked.Context(), in); err != nil {
			return err
		}
	}
	out := (&openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: kept.status, Header: kept.Header(), Options: options}).
		SetBodyBytes(kept.body.Bytes())
	return openapi3filter.ValidateResponse(asked.Context(), out)
}

func init() {
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.PlainBodyDecoder)
}

// keeper keeps a copy of what is answered.
type keeper struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (k *keeper) WriteHeader(status int) {
	k.status = status
	k.ResponseWriter.WriteHeader(status)
}

func (k *keeper) Write(data []byte) (int, error) {
	k.body.Write(data)
	return k.ResponseWriter.Write(data)
}

// Unwrap is for http.ResponseController.
func (k *keeper) Unwrap() http.ResponseWriter { return k.ResponseWriter }

// A check that can't fail holds nothing.
func TestHoldsSeesWhatIsNotDescribed(t *testing.T) {
	tests := []struct {
		name, method, path, target, request string
		status                              int
		answer                              string
		want                                string // in the error; "" if it's fine
	}{
		{"version", "GET", "/version", "/version", "", 200, `{"version":"1"}`, ""},
		{"field's type", "GET", "/version", "/version", "", 200, `{"version":1}`, "version"},
		{"missing field", "GET", "/version", "/version", "", 200, `{}`, "version"},
		{"status", "GET", "/version", "/version", "", 202, `{"version":"1"}`, "status is not supported"},
		{"status of another path", "GET", "/version", "/version", "", 409, `{"title":"","status":409,"detail":"","code":"exists","message":""}`, "status is not supported"},
		{"parameter", "GET", "/audit", "/audit?limit=7", "", 200, `{"entries":[]}`, ""},
		{"parameter's type", "GET", "/audit", "/audit?limit=x", "", 200, `{"entries":[]}`, "limit"},
		{"time", "GET", "/overview", "/overview?since=2030-01-31T12:00:00Z", "", 500, `{"title":"","status":500,"detail":"","code":"internal","message":""}`, ""},
		{"field of a body", "POST", "/keys", "/keys", `{"name":"n","pool":"p"}`, 201, `{}`, "pool"},
		{"no body", "POST", "/keys", "/keys", ``, 201, `{}`, "required"},
		{"body that may not be there", "GET", "/version", "/version", "{}", 200, `{"version":"1"}`, "body"},
		{"code", "GET", "/version", "/version", "", 500, `{"title":"","status":500,"detail":"","code":"other","message":""}`, "code"},
		{"code of no path", "GET", "/other", "/other", "", 404, `{"title":"","status":404,"detail":"","code":"other","message":""}`, "code"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := httptest.NewRequest(tt.method, "/api/v1"+tt.target, strings.NewReader(tt.request))
			asked.Header.Set("Content-Type", "application/json")
			matched := &http.Request{Method: tt.method, Pattern: tt.method + " /api/v1" + tt.path, URL: &url.URL{Path: tt.path}}
			kept := &keeper{ResponseWriter: httptest.NewRecorder(), status: tt.status}
			kept.Header().Set("Content-Type", "application/json")
			if tt.status >= 400 {
				kept.Header().Set("Content-Type", "application/problem+json")
			}
			kept.body.WriteString(tt.answer)
			err := holds(asked, matched, kept)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
}
