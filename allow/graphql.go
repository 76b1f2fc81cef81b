package allow

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/parser"
)

// maxGraphQLTokens bounds a document, and with it the work and depth of parsing
// it. The largest queries that real clients send have a few thousand.
const maxGraphQLTokens = 20_000

// graphQLRequest is what is sent: the fields of the GraphQL over HTTP draft but
// extensions, which may stand for a document that can't be seen.
type graphQLRequest struct {
	Query         string          `json:"query"`
	OperationName string          `json:"operationName,omitempty"`
	Variables     json.RawMessage `json:"variables,omitempty"`
}

// checkGraphQL allows a request whose document holds queries only, whichever
// operation is named, and writes it anew from the parsed document: what was
// understood here is what is sent.
func (p *Policy) checkGraphQL(body []byte) ([]byte, fault) {
	bad := func(what string) ([]byte, fault) { return nil, fault{BadBody, "the GraphQL request " + what} }
	f := walkJSON(body, func(path string, depth int, _ any) fault {
		if depth == 1 && !slices.Contains([]string{"query", "operationName", "variables"}, path) {
			return fault{FieldNotAllowed, "the GraphQL request has the key " + quote(path) + "; allowed are query, operationName, variables"}
		}
		return fault{}
	})
	if f.reason != "" {
		return nil, f
	}
	var fields map[string]json.RawMessage
	var req graphQLRequest
	var query, operation *string
	if json.Unmarshal(body, &fields) != nil ||
		json.Unmarshal(orNull(fields["query"]), &query) != nil ||
		json.Unmarshal(orNull(fields["operationName"]), &operation) != nil {
		return bad("has a query or operationName that is not a string")
	}
	if query == nil {
		return bad("has no query")
	}
	if operation != nil {
		req.OperationName = *operation
	}
	if v := orNull(fields["variables"]); string(v) != "null" {
		if v[0] != '{' {
			return bad("has variables that are not an object")
		}
		req.Variables = v
	}
	if req.Query, f = rewriteDocument(*query); f.reason != "" {
		return nil, f
	}
	out, err := json.Marshal(req)
	if err != nil {
		return bad("can't be written anew")
	}
	if len(out) > MaxBodyBytes {
		return nil, fault{BodyTooLarge, "the GraphQL request is larger than 1 MiB when it is written anew"}
	}
	return out, fault{}
}

func orNull(v json.RawMessage) json.RawMessage {
	if v == nil {
		return json.RawMessage("null")
	}
	return v
}

// rewriteDocument parses a document, checks it and formats what was parsed. The
// result must parse to itself: a document that doesn't hides something from
// the parser.
func rewriteDocument(text string) (string, fault) {
	out, f := formatQueries(text)
	if f.reason != "" {
		return "", f
	}
	again, f := formatQueries(out)
	if f.reason != "" || again != out {
		return "", fault{BadBody, "the GraphQL document doesn't read the same when it is written anew"}
	}
	return out, fault{}
}

func formatQueries(text string) (string, fault) {
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, maxGraphQLTokens)
	if err != nil {
		return "", fault{BadBody, "the GraphQL document can't be parsed, or is too large"}
	}
	if len(doc.Operations) == 0 {
		return "", fault{BadBody, "the GraphQL document has no operation"}
	}
	for _, op := range doc.Operations {
		if op.Operation != ast.Query {
			return "", fault{NotAQuery, "the GraphQL document has a " + string(op.Operation) + "; only queries are allowed"}
		}
	}
	var b strings.Builder
	formatter.NewFormatter(&b, formatter.WithoutDescription(), formatter.WithIndent("")).FormatQueryDocument(doc)
	return b.String(), fault{}
}
