package web

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"vcsagent/gateway/store"
)

type tokensPage struct {
	poolHead
	Tokens []tokenRow
}

// tokenRow is a token key: the token that it is in isn't kept.
type tokenRow struct {
	store.TokenKey
	Tail     string
	Sessions int // that joined with it and are live on this gateway
	Gone     bool
}

func (s *server) tokens(v *visit) (tokensPage, error) {
	head, err := s.poolHead(v, "tokens")
	if err != nil {
		return tokensPage{}, err
	}
	keys, err := s.control.TokenKeys(v.ctx(), head.Name)
	if err != nil {
		return tokensPage{}, err
	}
	p := tokensPage{poolHead: head}
	for _, k := range keys {
		row := tokenRow{TokenKey: k, Tail: tail(k.ID), Gone: k.Expired(time.Now())}
		for _, c := range head.Connections {
			if c.TokenKeyID == k.ID {
				row.Sessions++
			}
		}
		p.Tokens = append(p.Tokens, row)
	}
	return p, nil
}

func (s *server) showTokens(v *visit) error {
	p, err := s.tokens(v)
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "tokens", "pools", p.Name+" tokens", p)
}

type rotatePage struct {
	poolHead
	Expires  string
	Problems problems
}

func (s *server) askToRotate(v *visit) error {
	head, err := s.poolHead(v, "tokens")
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "rotate", "pools", "New token for "+head.Name, rotatePage{poolHead: head})
}

func (s *server) rotateToken(v *visit) error {
	head, err := s.poolHead(v, "tokens")
	if err != nil {
		return err
	}
	p := rotatePage{head, v.r.PostForm.Get("expires"), problems{}}
	again := func() error {
		return v.show(http.StatusUnprocessableEntity, "rotate", "pools", "New token for "+head.Name, p)
	}
	expires, err := endOfDay(p.Expires)
	if err != nil {
		p.Problems["expires"] = sentence(err)
		p.Expires = "" // browsers complain of a field with what is no day
		return again()
	}
	_, token, err := s.control.RotateToken(v.ctx(), v.by(), head.Name, expires)
	if invalid, ok := errors.AsType[*store.InvalidError](err); ok {
		p.Problems["expires"] = sentence(invalid) // or one token too many, in the same place
		return again()
	}
	if err != nil {
		return err
	}
	return v.show(http.StatusCreated, "new-token", "pools", head.Name, newToken(head.Pool.Pool, token, vendors[0], "", false))
}

type revokePage struct {
	poolHead
	Token tokenRow
	Last  bool // no agent can join without it
}

func (s *server) askToRevoke(v *visit) error {
	p, err := s.tokens(v)
	if err != nil {
		return err
	}
	for _, t := range p.Tokens {
		if t.ID == v.r.PathValue("id") {
			return v.show(http.StatusOK, "revoke", "pools", "Revoke a token of "+p.Name, revokePage{p.poolHead, t, len(p.Tokens) == 1})
		}
	}
	return notFound(fmt.Sprintf("The pool %s has no such token any more.", p.Name))
}

func (s *server) revokeToken(v *visit) error {
	name := v.r.PathValue("name")
	if err := s.control.RevokeToken(v.ctx(), v.by(), name, v.r.PathValue("id")); err != nil {
		return err
	}
	return v.seeOther(poolPath(name, "tokens"), "revoked")
}
