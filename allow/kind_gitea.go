package allow

import (
	"slices"
	"strings"
)

// reservedAccounts are names that no account of Gitea or Forgejo may have, since
// their own paths begin with them. "/api/v1/repos/issues/search" would look like
// a repository else, and it searches all of them.
var reservedAccounts = []string{
	".well-known",
	"api",
	"assets",
	"attachments",
	"avatar",
	"avatars",
	"captcha",
	"explore",
	"issues",
	"login",
	"metrics",
	"milestones",
	"notifications",
	"org",
	"pulls",
	"repo",
	"repo-avatars",
	"user",
	"v2",
}

// isGiteaAccount accepts a Gitea user's or organisation's name, which may hold
// dots.
func isGiteaAccount(s string) bool {
	return isName(s) && !slices.Contains(reservedAccounts, strings.ToLower(s))
}

// isGiteaUsername accepts a name that stands below /api/v1/users, where "search"
// lists everyone.
func isGiteaUsername(s string) bool {
	return isName(s) && !strings.EqualFold(s, "search")
}

// isGiteaComparison accepts "base...head" or "base..head" of two refs. Gitea
// also knows "owner:ref" and "owner/repo:ref", which reach another repository;
// no ref has a colon. A dot behind the separator is refused, since it could
// belong to either.
func isGiteaComparison(s string) bool {
	base, head, ok := strings.Cut(s, "...")
	if !ok {
		base, head, ok = strings.Cut(s, "..")
	}
	return ok && isRef(base) && isRef(head) && !strings.HasPrefix(head, ".")
}

// isGiteaArchive accepts a ref with the ending of the archive that is asked for.
// The third ending that Gitea has, ".bundle", is all of the ref's history.
func isGiteaArchive(s string) bool {
	for _, ending := range []string{".tar.gz", ".zip"} {
		if ref, ok := strings.CutSuffix(s, ending); ok {
			return isRef(ref)
		}
	}
	return false
}
