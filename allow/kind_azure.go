package allow

import (
	"strings"
	"unicode/utf8"
)

// maxAzureName is what Azure bounds the names of collections, projects and
// repositories to, in UTF-16 code units.
const maxAzureName = 64

// isAzureName accepts the names that Azure gives collections, projects and
// repositories, spaces and letters of any script included. An underscore begins
// the words of Azure's own paths (_apis, _git) in any letter case. Whatever
// Azure would read as another spelling of the same name is left out, so that a
// pattern is held against the name that is served: spaces at the ends, which
// SQL Server doesn't compare, and the full-width and half-width forms that it
// takes for ordinary letters.
func isAzureName(s string) bool {
	if s == "" || strings.ContainsAny(s[:1], "_. ") || strings.ContainsAny(s[len(s)-1:], ". ") || utf8.RuneCountInString(s) > maxAzureName {
		return false
	}
	for _, r := range s {
		if r < utf8.RuneSelf && azureForbids[r] || r >= 0xff00 { // full-width forms, specials, and what takes two UTF-16 code units
			return false
		}
	}
	return true
}

// azureForbids is Microsoft's list for projects, and the percent sign.
var azureForbids = func() (t [utf8.RuneSelf]bool) {
	for c := range t {
		t[c] = c < ' ' || c == 0x7f || strings.IndexByte(`\/:*?"<>|;#${},+=[]%`, byte(c)) >= 0
	}
	return t
}()

// isAzureID reports whether Azure may read a name as the id of a collection,
// project or repository. What counts is the shape: readers of GUIDs also take
// signs, "0x" and a letter "A" in front of a collection's.
func isAzureID(s string) bool {
	if len(s) > 2 && strings.ContainsAny(s[:1], "({") {
		s = s[1 : len(s)-1]
	}
	if len(s) == 33 || len(s) == 37 {
		s = strings.TrimLeft(s[:1], "Aa") + s[1:]
	}
	switch len(s) {
	case 32:
		return strings.Trim(s, "0123456789abcdefABCDEFxX") == ""
	case 36:
		return s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-'
	}
	return false
}
