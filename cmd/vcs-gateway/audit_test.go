package main_test

import (
	"testing"

	vcsgateway "vcsagent/cmd/vcs-gateway"
)

// What an agent calls itself can't look like a fact of the gateway's.
func TestPairs(t *testing.T) {
	for _, tt := range []struct {
		all  map[string]string
		want string
	}{
		{nil, ""},
		{map[string]string{"token_key": "01A", "instance": "vm-1", "tags": ""}, "instance=vm-1 tags= token_key=01A"},
		{map[string]string{"instance": "x token_key=01B", "token_key": "01A"}, `instance="x token_key=01B" token_key=01A`},
		{map[string]string{"tags": "region=eu, zone=a"}, `tags="region=eu, zone=a"`},
		{map[string]string{"a b=c": "d"}, `"a b=c"=d`},
		{map[string]string{"instance": `"x" y`}, `instance="\"x\" y"`},
		{map[string]string{"instance": `"x"`}, `instance="\"x\""`},
		{map[string]string{"instance": "x\u00a0y\u2003z\n"}, `instance="x\u00a0y\u2003z\n"`},
		{map[string]string{"instance": "größe-1,2;3"}, "instance=größe-1,2;3"},
	} {
		if got := vcsgateway.Pairs(tt.all); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.all, got, tt.want)
		}
	}
}
