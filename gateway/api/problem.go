package api

import (
	"errors"
	"fmt"
	"net/http"
	"unicode"
	"unicode/utf8"

	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// Codes of refusals. They are part of the API: programs branch on them.
const (
	codeUnauthenticated  = "unauthenticated"    // 401: no key, or not one of ours
	codeForbidden        = "forbidden"          // 403: the key is not an admin's
	codeNotFound         = "not_found"          // 404: no such path
	codeUnknownPool      = "unknown_pool"       // 404 in the path, 422 in the body or query
	codeUnknownToken     = "unknown_token"      // 404
	codeUnknownKey       = "unknown_key"        // 404 in the path, 422 in the query
	codeMethodNotAllowed = "method_not_allowed" // 405
	codeExists           = "exists"             // 409: the name is taken
	codeLastAdmin        = "last_admin"         // 409: nobody could use the API any more
	codeTooLarge         = "too_large"          // 413: the body
	codeBadBody          = "bad_body"           // 400: not a JSON object of the right types
	codeUnknownField     = "unknown_field"      // 400: in the body
	codeBadQuery         = "bad_query"          // 400: not encoded as it must be, or a parameter twice
	codeUnknownParameter = "unknown_parameter"  // 400: in the query
	codeInvalid          = "invalid"            // 422: a value that isn't allowed
	codeInternal         = "internal"           // 500: a fault of the gateway's own
	codeTooManyStreams   = "too_many_streams"   // 503: of followers
)

// refusal is an error that says how it is to be answered.
type refusal struct{ problem transport.Problem }

func (e *refusal) Error() string { return e.problem.Detail }

func refuse(status int, code, detail string) error {
	return &refusal{transport.Problem{Status: status, Code: code, Detail: detail}}
}

// missing says what it is that there isn't, if that is what err is.
func missing(err error, status int, code string) error {
	if errors.Is(err, store.ErrNotFound) {
		return refuse(status, code, sentence(err))
	}
	return err
}

// problemOf decides what a client is told. An error that isn't the client's
// stays in the log.
func problemOf(err error) transport.Problem {
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.problem
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return transport.Problem{Status: http.StatusRequestEntityTooLarge, Code: codeTooLarge,
			Detail: fmt.Sprintf("The body is larger than %d bytes, the most that the API takes.", tooLarge.Limit)}
	}
	if invalid, ok := errors.AsType[*store.InvalidError](err); ok {
		return transport.Problem{Status: http.StatusUnprocessableEntity, Code: codeInvalid, Detail: sentence(invalid)}
	}
	switch {
	case errors.Is(err, store.ErrExists):
		return transport.Problem{Status: http.StatusConflict, Code: codeExists, Detail: sentence(err)}
	case errors.Is(err, store.ErrLastAdmin):
		return transport.Problem{Status: http.StatusConflict, Code: codeLastAdmin, Detail: sentence(err)}
	case errors.Is(err, store.ErrNotFound): // of what the path names, unless a handler said so
		return transport.Problem{Status: http.StatusNotFound, Code: codeUnknownPool, Detail: sentence(err)}
	}
	return transport.Problem{Status: http.StatusInternalServerError, Code: codeInternal,
		Detail: "The gateway could not do this; its log says why."}
}

// sentence makes an error's text one.
func sentence(err error) string {
	text := err.Error()
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:] + "."
}
