package transport

import "time"

// Bounds of the session exchange and of what one side lets the other hold. They
// are part of the wire contract: a peer that goes past one is cut off.
const (
	// ProtocolVersion is the version of the session exchange.
	ProtocolVersion = 1

	// MaxParallelism is the most streams an agent may offer in one session.
	MaxParallelism = 256
	// MaxTags is the most metadata tags an agent may send.
	MaxTags = 64
	// MaxTagBytes bounds a tag's name and, separately, its value.
	MaxTagBytes = 256
	// MaxLineBytes bounds one line of the session exchange.
	MaxLineBytes = 64 << 10
	// MaxHeaderBytes bounds a request's or response's header section. A request
	// over it is refused; an agent whose answer is over it may lose its session,
	// so handlers keep theirs well below.
	MaxHeaderBytes = 256 << 10
)

// handshakeTimeout bounds the TLS or QUIC handshake, and, from its end, the time
// to hello and welcome: a peer that says nothing is dropped after it. Tests shorten it.
var handshakeTimeout = 10 * time.Second

// Mode says which carriers a [Dialer] may use.
type Mode string

// The modes of --transport.
const (
	ModeAuto Mode = "auto" // QUIC, with TCP tried beside it; TCP alone where a proxy applies
	ModeQUIC Mode = "quic" // QUIC alone; proxies are not used
	ModeTCP  Mode = "tcp"  // HTTP/2 over TLS over TCP alone, through the proxy where one applies
)

// Carrier is what a session runs on.
type Carrier string

// The two carriers.
const (
	QUIC Carrier = "quic" // reversed HTTP/3, ALPN rh3
	TCP  Carrier = "tcp"  // reversed HTTP/2 over TLS over TCP, ALPN rh2
)

// ALPN identifiers of draft-thomson-ptth-potato.
const (
	alpnQUIC = "rh3"
	alpnTCP  = "rh2"
)
