package cli

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// nearest returns the candidate that given was probably meant to be, for a "did
// you mean", or "" if none is near: two letters may differ, which is two swapped
// ones, or a third of a long name.
func nearest(given string, candidates []string) string {
	given = strings.ToLower(strings.ReplaceAll(given, "_", "-"))
	best, bestDistance := "", 0
	for _, c := range candidates {
		d := levenshtein.ComputeDistance(given, strings.ReplaceAll(c, "_", "-"))
		if d <= max(2, len(c)/3) && d < len(c) && (best == "" || d < bestDistance) {
			best, bestDistance = c, d
		}
	}
	return best
}
