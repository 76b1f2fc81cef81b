package allow

// NewFromYAML compiles rules that aren't embedded, with every group on.
func NewFromYAML(data string) (*Policy, error) {
	file, err := decodeRules([]byte(data))
	if err != nil {
		return nil, err
	}
	return compile(file, Groups(), nil, Options{})
}
