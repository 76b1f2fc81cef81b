package main_test

import (
	"testing"

	vcsagent "vcsagent/cmd/vcs-agent"

	"vcsagent/cmd/internal/docstest"
)

func TestSettingsAreDocumented(t *testing.T) {
	docstest.Settings(t, vcsagent.NewCommand(nil), "SPACELIFT_VCS_AGENT_", "## vcs-agent",
		map[string]string{"token": "SPACELIFT_VCS_AGENT_POOL_TOKEN"})
}
