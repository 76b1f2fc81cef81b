package transport

const (
	// CheckPath is where the gateway asks an agent whether its VCS answers: a GET,
	// which the agent answers itself with a [CheckResult]. A gateway forwards no
	// caller's request to it, and asks only agents that announce [FeatureCheck].
	CheckPath = "/.well-known/vcs-agent/check"

	// FeatureCheck in a hello's features says that the agent answers CheckPath.
	FeatureCheck = "check"

	// MaxCheckBytes bounds the JSON of a [CheckResult].
	MaxCheckBytes = 4 << 10
	// MaxVersionBytes bounds the version in a [CheckResult].
	MaxVersionBytes = 64
)

// CheckResult is what an agent says of its VCS, as application/json with status
// 200. It tells no more of the VCS's answer than its status and its version.
type CheckResult struct {
	Vendor    string  `json:"vendor"`    // as in the hello
	Reachable bool    `json:"reachable"` // an answer came, whatever its status
	Status    int     `json:"status"`    // of that answer; 0 if none came
	Version   string  `json:"version"`   // of the VCS: letters, digits and . + - _ ~, at most MaxVersionBytes; "" if it wasn't told
	Elapsed   float64 `json:"elapsed"`   // seconds from the question to the answer's end, or to the failure
	Code      string  `json:"code"`      // why there is no answer: vcs_unreachable, vcs_timeout, denied; "" if one came
	Detail    string  `json:"detail"`    // a sentence for people; "" if there is nothing to say beside the version
}
