package web

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// vendor is a kind of VCS that an agent speaks to.
type vendor struct {
	Name    string // as the agent's setting has it
	Title   string
	Example string // an endpoint, in place of one that wasn't given
}

var vendors = []vendor{
	{"gitlab", "GitLab", "https://gitlab.example.com"},
	{"github_enterprise", "GitHub Enterprise Server", "https://github.example.com"},
	{"bitbucket_datacenter", "Bitbucket Data Center", "https://bitbucket.example.com"},
	{"azure_devops", "Azure DevOps Server", "https://devops.example.com"},
	{"gitea", "Gitea or Forgejo", "https://gitea.example.com"},
}

func vendorOf(name string) (vendor, bool) {
	for _, v := range vendors {
		if v.Name == name {
			return v, true
		}
	}
	return vendor{}, false
}

// vendorTitle is what people call a vendor.
func vendorTitle(name string) string {
	if v, ok := vendorOf(name); ok {
		return v.Title
	}
	return name
}

// snippet is a way to start an agent, to be pasted. It reads the token from its
// file: a secret in a command would stay in the shell's history.
type snippet struct {
	ID    string
	Title string
	Hint  string
	Text  string
}

// snippets start an agent of a pool whose token was saved to file.
func snippets(pool, file string, v vendor, endpoint string) []snippet {
	endpoint = cmp.Or(endpoint, v.Example)
	name := "vcs-agent-" + pool
	return []snippet{
		{"docker", "Docker", "With the token's file in the current folder, and the image that deploy/Dockerfile builds.",
			fmt.Sprintf(`export SPACELIFT_VCS_AGENT_POOL_TOKEN="$(cat %s)"
docker run -d --name %s --restart unless-stopped \
  -e SPACELIFT_VCS_AGENT_POOL_TOKEN \
  -e SPACELIFT_VCS_AGENT_TARGET_BASE_ENDPOINT=%s \
  -e SPACELIFT_VCS_AGENT_VENDOR=%s \
  vcs-agent
`, file, name, shellQuote(endpoint), v.Name)},
		{"helm", "Helm", "From a checkout, with the token's file in the current folder. Put your registry in the image's name.",
			fmt.Sprintf(`kubectl create secret generic %[1]s --from-file=token=%[2]s
helm upgrade --install %[1]s deploy/helm/vcs-agent \
  --set image.repository=registry.example.com/vcs-agent \
  --set credentials.existingSecret=%[1]s \
  --set credentials.vendor=%[3]s \
  --set-literal credentials.endpoint=%[4]s
`, name, file, v.Name, shellQuote(endpoint))},
		{"yaml", "Configuration file", "Save it as vcs-agent.yaml beside the token's file, and run vcs-agent --config vcs-agent.yaml there.",
			fmt.Sprintf(`target-base-endpoint: %s
vendor: %s
token-file: %s
`, strconv.Quote(endpoint), v.Name, file)},
	}
}

// shellQuote makes a word of a shell's: as it is where nothing in it means
// anything to one.
func shellQuote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+,", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
