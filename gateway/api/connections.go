package api

import (
	"net/http"

	"vcsagent/gateway/control"
)

// connectionList is an object, so that pages can join it later.
type connectionList struct {
	Connections []control.Connection `json:"connections"`
}

func (s *server) poolConnections(_ http.ResponseWriter, r *request) (answer, error) {
	p, err := s.control.Pool(r.Context(), r.PathValue("pool"))
	if err != nil {
		return answer{}, err
	}
	return ok(connectionList{listed(p.Connections)})
}

func (s *server) allConnections(_ http.ResponseWriter, r *request) (answer, error) {
	pools, err := s.control.Pools(r.Context())
	if err != nil {
		return answer{}, err
	}
	var all []control.Connection
	for _, p := range pools {
		all = append(all, p.Connections...)
	}
	return ok(connectionList{listed(all)})
}

// listed is what JSON shows as a list when there are none, not as null.
func listed(connections []control.Connection) []control.Connection {
	if connections == nil {
		return []control.Connection{}
	}
	return connections
}

func (s *server) checkPool(w http.ResponseWriter, r *request) (answer, error) {
	if err := decodeOptional(w, r.Request, object{}); err != nil {
		return answer{}, err
	}
	check, err := s.control.CheckPool(r.Context(), r.PathValue("pool"))
	if err != nil {
		return answer{}, err
	}
	return ok(check)
}
