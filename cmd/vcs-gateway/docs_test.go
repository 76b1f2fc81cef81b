package main

import (
	"testing"

	"vcsagent/cmd/internal/docstest"
)

func TestSettingsAreDocumented(t *testing.T) {
	docstest.Settings(t, serveCommand(nil), envPrefix, "## vcs-gateway serve", nil)
}
