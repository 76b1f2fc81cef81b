package main

import (
	"testing"

	"vcsagent/cmd/internal/docstest"
)

func TestSettingsAreDocumented(t *testing.T) {
	docstest.Settings(t, serveCommand(nil), "VCS_GATEWAY_", "## vcs-gateway serve", nil)
}
