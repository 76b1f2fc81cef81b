package api

import (
	"net/http"
	"time"

	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// Token is one of a pool's tokens, without what it is.
type Token struct {
	ID          string    `json:"id"` // ULID, of the key in it
	CreatedAt   time.Time `json:"created_at"`
	LastUsedAt  time.Time `json:"last_used_at,omitzero"` // zero is never
	ExpiresAt   time.Time `json:"expires_at,omitzero"`   // zero is never
	Connections int       `json:"connections"`           // live sessions that joined with it
}

// NewToken is what another token of a pool is made of.
type NewToken struct {
	Expires time.Time `json:"expires_at,omitzero"` // zero is never
	// ReplacesExpire is the last moment of the tokens that the pool has now, unless
	// they expire before; zero leaves them as they are.
	ReplacesExpire time.Time `json:"replaces_expire_at,omitzero"`
}

// CreatedToken is what rotating a token answers.
type CreatedToken struct {
	Token
	Secret transport.Secret `json:"token"` // for the pool's agents, encoded; not shown again
}

// tokenList is an object, so that pages can join it later.
type tokenList struct {
	Tokens []Token `json:"tokens"`
}

func (s *server) listTokens(_ http.ResponseWriter, r *request) (answer, error) {
	p, err := s.control.Pool(r.Context(), r.PathValue("pool"))
	if err != nil {
		return answer{}, err
	}
	keys, err := s.control.TokenKeys(r.Context(), p.Name)
	if err != nil {
		return answer{}, err
	}
	joined := map[string]int{}
	for _, c := range p.Connections {
		joined[c.TokenKeyID]++
	}
	list := tokenList{Tokens: []Token{}}
	for _, k := range keys {
		list.Tokens = append(list.Tokens, tokenOf(k, joined[k.ID]))
	}
	return ok(list)
}

func (s *server) rotateToken(w http.ResponseWriter, r *request) (answer, error) {
	var expires, replaced instant
	err := decodeOptional(w, r.Request, object{
		"expires_at":         {&expires, instantKind},
		"replaces_expire_at": {&replaced, "a time such as 2030-01-31T12:00:00Z, or null to leave the other tokens as they are"},
	})
	if err != nil {
		return answer{}, err
	}
	key, token, err := s.control.ReplaceToken(r.Context(), r.actor(), r.PathValue("pool"), expires.at, replaced.at)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: struct {
		Token
		Secret string `json:"token"` // in clear
	}{tokenOf(key, 0), token.Encode()}}, nil
}

func (s *server) revokeToken(_ http.ResponseWriter, r *request) (answer, error) {
	p, err := s.control.Pool(r.Context(), r.PathValue("pool"))
	if err != nil {
		return answer{}, err
	}
	if err := s.control.RevokeToken(r.Context(), r.actor(), p.Name, r.PathValue("token")); err != nil {
		return answer{}, missing(err, http.StatusNotFound, codeUnknownToken)
	}
	return noContent()
}

func tokenOf(k store.TokenKey, connections int) Token {
	return Token{ID: k.ID, CreatedAt: k.CreatedAt, LastUsedAt: k.LastUsedAt, ExpiresAt: k.ExpiresAt, Connections: connections}
}
