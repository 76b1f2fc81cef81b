package allow

import (
	"slices"
	"strings"
)

// kind is a type of path parameter.
type kind struct {
	name    string
	valid   func(text string) bool // on the decoded value, whole
	slash   bool                   // an encoded slash may be in it
	project bool                   // it is the project, or a part of it
	unknown func(text string) bool // it is given by a number or the like, which no pattern can be held against; nil: never
	encode  bool                   // slashes are sent encoded even when it spans segments
}

// kinds are the types that a template may use, by name.
var kinds = func() map[string]*kind {
	m := make(map[string]*kind)
	for _, k := range []*kind{
		{name: "int", valid: isInt},
		{name: "sha", valid: isRef},
		{name: "ref", valid: isRef, slash: true},
		{name: "branch", valid: isRef, slash: true},
		{name: "comparison", valid: func(s string) bool { _, _, ok := splitComparison(s); return ok }, slash: true, encode: true},
		{name: "file", valid: isConfigFile, slash: true},

		{name: "project", valid: isGitLabProject, slash: true, project: true, unknown: isDigits},
		{name: "group", valid: isGitLabGroup, project: true},
		{name: "owner", valid: isOwner, project: true},
		{name: "repo", valid: isRepo, project: true},
		{name: "key", valid: isBitbucketKey, project: true},
		{name: "slug", valid: isRepo, project: true},

		{name: "login", valid: func(s string) bool { return isOwner(strings.TrimSuffix(s, "[bot]")) }},
		{name: "user", valid: isRepo},

		// For rules of customers: any one name, and any path in a repository.
		{name: "name", valid: isName},
		{name: "path", valid: func(s string) bool { return s != "" }, slash: true},

		{name: "account", valid: isGiteaAccount, project: true},
		{name: "username", valid: isGiteaUsername},
		{name: "basehead", valid: isGiteaComparison, slash: true},
		{name: "archive", valid: isGiteaArchive, slash: true},

		{name: "azure_name", valid: isAzureName, project: true, unknown: isAzureID},
		{name: "azure_scope", valid: isAzureName},
	} {
		m[k.name] = k
	}
	return m
}()

// isInt accepts a positive decimal number in its one spelling, within int64.
func isInt(s string) bool {
	return len(s) >= 1 && len(s) <= 18 && s[0] != '0' && isDigits(s)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// isRef accepts what git-check-ref-format lets a ref be named, and so every
// commit id too, but no revision expression such as "main~1" or "@{u}".
func isRef(s string) bool {
	if s == "" || s[0] == '-' || s[0] == '/' || s[len(s)-1] == '/' {
		return false
	}
	for i := range len(s) {
		switch s[i] {
		case ' ', '~', '^', ':', '?', '*', '[', '\\', 0x7f:
			return false
		case '.':
			if i > 0 && s[i-1] == '.' {
				return false
			}
		case '{':
			if i > 0 && s[i-1] == '@' {
				return false
			}
		default:
			if s[i] < ' ' {
				return false
			}
		}
	}
	return true
}

// splitComparison takes "base...head" apart; a side is a ref, "owner:ref" or
// "owner:repo:ref".
func splitComparison(s string) (base, head side, ok bool) {
	left, right, found := strings.Cut(s, "...")
	if !found {
		return base, head, false
	}
	base, ok1 := parseSide(left)
	head, ok2 := parseSide(right)
	return base, head, ok1 && ok2
}

type side struct{ owner, repo, ref string }

func parseSide(s string) (side, bool) {
	var sd side
	before, after, found := strings.Cut(s, ":")
	if !found {
		sd.ref = s
		return sd, isRef(s)
	}
	sd.owner, sd.ref = before, after
	if before, after, found = strings.Cut(after, ":"); found {
		sd.repo, sd.ref = before, after
		if !isRepo(sd.repo) {
			return sd, false
		}
	}
	return sd, isOwner(sd.owner) && isRef(sd.ref)
}

// isConfigFile accepts the platform's own configuration file, at the root or
// below folders, and no other file of a repository. No folder may hold what ends a
// path where a proxy before the VCS passes the decoded path on.
func isConfigFile(s string) bool {
	if strings.ContainsAny(s, "?#*%") {
		return false
	}
	return s == ".spacelift/config.yml" || strings.HasSuffix(s, "/.spacelift/config.yml")
}

// isName accepts the characters that all vendors restrict names to, so that a
// name has no second spelling and needs no escaping.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return s != "" && len(s) <= 255 && !isDots(s) && s[0] != '-'
}

func isRepo(s string) bool { return isName(s) }

// isGitLabProject accepts a project's number or its full path, which has at
// least one group.
func isGitLabProject(s string) bool {
	return isDigits(s) || strings.Contains(s, "/") && isNames(s)
}

// isGitLabGroup accepts the full path of a group that git's URLs may begin with.
// Paths below /api, and those of snippets, look like repositories and are none.
func isGitLabGroup(s string) bool {
	first, _, _ := strings.Cut(s, "/")
	last := s[strings.LastIndexByte(s, '/')+1:]
	return isNames(s) && first != "api" && first != "snippets" && last != "snippets"
}

// isNames accepts names with a slash between them.
func isNames(s string) bool {
	for part := range strings.SplitSeq(s, "/") {
		if !isName(part) {
			return false
		}
	}
	return true
}

// reservedOwners are first segments of GitHub's own paths. Gists have
// repositories too, which no project pattern is about.
var reservedOwners = []string{"api", "codeload", "gist", "raw"}

// isOwner accepts a GitHub user's or organisation's name. The underscore stands
// in names of managed users.
func isOwner(s string) bool {
	return isName(s) && !strings.ContainsAny(s, ".") && s[0] != '_' && !slices.Contains(reservedOwners, strings.ToLower(s))
}

// isBitbucketKey accepts a project's key, or "~user" for a personal project.
func isBitbucketKey(s string) bool {
	if name, personal := strings.CutPrefix(s, "~"); personal {
		return isName(name)
	}
	return isName(s) && !strings.ContainsAny(s, ".-") && s[0] != '_'
}
