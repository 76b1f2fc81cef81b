package transport

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// SessionPath is where the gateway opens the session exchange. It is never
// forwarded to a VCS.
const SessionPath = "/.well-known/vcs-agent/session"

// The types of lines in the session exchange. A type not listed is ignored.
const (
	lineHello   = "hello"   // agent: who it is
	lineWelcome = "welcome" // gateway: the session is accepted
	lineRefused = "refused" // gateway: it is not, and why
	lineReady   = "ready"   // agent: welcome was read, requests may come
	lineDrain   = "drain"   // either: send me nothing new
	lineDrained = "drained" // gateway: the last request of a draining agent has ended
	linePing    = "ping"    // agent: measures the round trip
	linePong    = "pong"    // gateway: answers a ping, same seq
)

// Hello is how an agent introduces itself.
type Hello struct {
	PoolID      string            `json:"pool_ulid"`   // the pool's ULID
	Key         Secret            `json:"-"`           // the pool's key; sent as "key"
	Instance    string            `json:"instance"`    // tells this process from the pool's other agents
	Software    string            `json:"software"`    // the agent's version
	Vendor      string            `json:"vendor"`      // the VCS's vendor
	Parallelism int               `json:"parallelism"` // streams offered, 1 to MaxParallelism
	Tags        map[string]string `json:"tags,omitempty"`
	Features    []string          `json:"features,omitempty"` // optional abilities; unknown ones are ignored
}

// Welcome is how a gateway accepts a session.
type Welcome struct {
	SessionID string `json:"session"`
	GatewayID string `json:"gateway"` // tells gateways behind one address apart
	Software  string `json:"software"`
}

// The codes of a [Refusal].
const (
	RefusedUnauthorized = "unauthorized"     // unknown pool or wrong key
	RefusedNetwork      = "network"          // the pool takes agents from other networks only
	RefusedVersion      = "protocol_version" // the session exchange's versions differ
	RefusedInvalid      = "invalid_hello"    // a bound of the exchange was passed
	RefusedDraining     = "draining"         // this gateway is going away: dial anew
	RefusedLimit        = "limit"            // the gateway holds as many sessions as it may
	RefusedUnavailable  = "unavailable"      // the gateway couldn't decide: try again
)

// Refusal is a gateway's no to a session, with a sentence for the operator.
type Refusal struct {
	Code       string        // one of the Refused constants
	Sentence   string        // what is wrong and, where known, what to do
	RetryAfter time.Duration // when to try again; 0 leaves it to the agent's backoff
}

// Error implements error.
func (r *Refusal) Error() string {
	return fmt.Sprintf("the gateway refused the session (%s): %s", r.Code, r.Sentence)
}

// The shapes of the exchange's lines: hello has its own, every other fits line.
type (
	helloLine struct {
		Type    string `json:"type"`
		Version int    `json:"version"`
		Key     string `json:"key"`
		Hello
	}
	line struct {
		Type       string `json:"type"`
		*Welcome          // welcome
		Code       string `json:"code,omitempty"`        // refused
		Sentence   string `json:"sentence,omitempty"`    // refused
		RetryAfter int    `json:"retry_after,omitempty"` // refused, seconds
		Seq        uint64 `json:"seq,omitempty"`         // ping, pong
	}
)

func newHelloLine(h Hello) helloLine {
	return helloLine{Type: lineHello, Version: ProtocolVersion, Key: h.Key.Reveal(), Hello: h}
}

func refusedLine(r *Refusal) line {
	return line{Type: lineRefused, Code: r.Code, Sentence: r.Sentence, RetryAfter: int(r.RetryAfter / time.Second)}
}

func (l line) refusal() *Refusal {
	return &Refusal{Code: printable(l.Code), Sentence: printable(l.Sentence), RetryAfter: time.Duration(l.RetryAfter) * time.Second}
}

// printable bounds a peer's text and renders it for a log.
func printable(s string) string {
	const limit = 512
	if len(s) > limit {
		s = s[:limit]
	}
	return Printable(s)
}

// parseHello reads a hello and checks every bound. The version is looked at
// before anything else, since another version may shape the rest otherwise.
func parseHello(b []byte) (Hello, *Refusal) {
	var head struct {
		Type    string `json:"type"`
		Version int    `json:"version"`
	}
	invalid := func(format string, args ...any) (Hello, *Refusal) {
		return Hello{}, &Refusal{Code: RefusedInvalid, Sentence: fmt.Sprintf(format, args...)}
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return invalid("the agent's first line is not a JSON object")
	}
	if head.Type != lineHello {
		return invalid("the agent's first line must be a hello")
	}
	if head.Version != ProtocolVersion {
		return Hello{}, &Refusal{Code: RefusedVersion, Sentence: fmt.Sprintf(
			"the agent speaks version %d of the session exchange, this gateway version %d: update the older of the two", head.Version, ProtocolVersion)}
	}
	var full helloLine
	if err := json.Unmarshal(b, &full); err != nil {
		return invalid("the hello has a field of the wrong type")
	}
	h := full.Hello
	h.Key = Secret(full.Key)
	switch {
	case h.Parallelism < 1 || h.Parallelism > MaxParallelism:
		return invalid("parallelism is %d, allowed is 1 to %d", h.Parallelism, MaxParallelism)
	case len(h.Tags) > MaxTags:
		return invalid("there are %d metadata tags, allowed are %d", len(h.Tags), MaxTags)
	case len(h.Features) > MaxTags:
		return invalid("there are %d features, allowed are %d", len(h.Features), MaxTags)
	}
	for k, v := range h.Tags {
		if len(k) > MaxTagBytes || len(v) > MaxTagBytes {
			return invalid("a metadata tag is longer than %d bytes", MaxTagBytes)
		}
	}
	for _, s := range []string{h.PoolID, h.Instance, h.Software, h.Vendor} {
		if len(s) > MaxTagBytes {
			return invalid("a field of the hello is longer than %d bytes", MaxTagBytes)
		}
	}
	return h, nil
}

// errLineTooLong is what a line over [MaxLineBytes] ends the session with.
var errLineTooLong = fmt.Errorf("a line of the session exchange is longer than %d bytes", MaxLineBytes)

// lineReader reads the exchange's lines. It holds little while lines are short
// (a gateway has thousands of these) and never more than [MaxLineBytes].
type lineReader struct {
	r   *bufio.Reader
	buf []byte
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 1<<10)}
}

// next returns the next line without its newline; it is valid until the next call.
func (lr *lineReader) next() ([]byte, error) {
	lr.buf = lr.buf[:0]
	for {
		part, err := lr.r.ReadSlice('\n')
		if len(lr.buf)+len(part) > MaxLineBytes {
			return nil, errLineTooLong
		}
		lr.buf = append(lr.buf, part...)
		switch {
		case err == nil:
			return lr.buf[:len(lr.buf)-1], nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// nextLine reads and decodes the next line of a kind we know.
func (lr *lineReader) nextLine() (line, error) {
	b, err := lr.next()
	if err != nil {
		return line{}, err
	}
	var l line
	if err := json.Unmarshal(b, &l); err != nil {
		return line{}, errors.New("a line of the session exchange is not a JSON object")
	}
	return l, nil
}

func writeLine(w io.Writer, l any) error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if len(b) >= MaxLineBytes {
		return errLineTooLong
	}
	_, err = w.Write(append(b, '\n'))
	return err
}
