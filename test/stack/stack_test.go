package stack_test

import (
	"io"
	"strings"
	"testing"

	"vcsagent/test/servers"
	"vcsagent/test/stack"
)

func TestMain(m *testing.M) { servers.Main(m) }

func TestStack(t *testing.T) {
	s := stack.New(t, stack.Options{})
	a := s.StartAgent(t)
	resp := s.Get(t, "/api/v4/user")
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), "username") {
		t.Errorf("status %d, %v: %s", resp.StatusCode, err, body)
	}
	if l := a.Await(t, "served"); l.String("name") != "gitlab.user.get" || l.Number("status_code") != 200 {
		t.Errorf("the agent's line: %v", l)
	}
}
