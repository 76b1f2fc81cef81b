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

// refusal is an error that says how it is to be answered.
type refusal struct{ problem transport.Problem }

func (e *refusal) Error() string { return e.problem.Detail }

func refuse(status int, code, detail string) error {
	return &refusal{transport.Problem{Status: status, Code: code, Detail: detail}}
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
	case errors.Is(err, store.ErrNotFound):
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
