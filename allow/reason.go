package allow

// Reason is the machine-readable code of a denial. It stands in the answer to
// the caller, in the log line and in the metric, always the same. The empty
// Reason means the request is allowed.
type Reason string

// The reasons. The first group says that the target can't be read in one way
// only, so no rule was even tried.
const (
	BadTarget     Reason = "bad_target"      // not a path from the root: absolute, authority or asterisk form, or a fragment
	TargetTooLong Reason = "target_too_long" // more than MaxTargetBytes, or more than MaxSegments segments
	BadEncoding   Reason = "bad_encoding"    // a broken percent-escape, invalid UTF-8, a control or unprintable character
	AmbiguousPath Reason = "ambiguous_path"  // servers differ in how they read it: dots, empty segments, backslash, ";", double encoding, encoded slash
	BadQuery      Reason = "bad_query"       // a query that can't be read in one way only

	PushNotAllowed Reason = "push_not_allowed" // a git push, or while observing a write that no rule allows; no setting lets them through
	Blocked        Reason = "blocked"          // a block rule of the customer's matches

	MethodNotAllowed Reason = "method_not_allowed" // a rule has this path, none of them this method
	NoRule           Reason = "no_rule"            // no rule has this path
	GroupOff         Reason = "group_off"          // the rule is in a group that is switched off
	QueryNotAllowed  Reason = "query_not_allowed"  // a query key or value that the rule doesn't have, or a key given twice

	ProjectNotAllowed Reason = "project_not_allowed" // the call names a project that the pattern doesn't match
	ProjectUnknown    Reason = "project_unknown"     // a pattern is set and the project can't be told from the request

	BodyNotAllowed  Reason = "body_not_allowed"  // a body where the rule has none
	BodyTooLarge    Reason = "body_too_large"    // a body over MaxBodyBytes that would have to be inspected
	BadBody         Reason = "bad_body"          // a body that can't be read in one way only: type, encoding or syntax
	FieldNotAllowed Reason = "field_not_allowed" // a body field that the rule doesn't have
	NotAQuery       Reason = "not_a_query"       // a GraphQL document that is more than queries
)
