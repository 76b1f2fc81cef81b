// Package transport carries HTTP requests from a gateway to an agent over a
// connection that the agent dialled: reversed HTTP
// (draft-thomson-ptth-potato), HTTP/3 on QUIC (ALPN rh3) or HTTP/2 on TLS over
// TCP (ALPN rh2).
//
// The agent dials and serves:
//
//	link, err := (&transport.Dialer{TLS: tlsConfig}).Dial(ctx, token.Host)
//	err = link.Serve(ctx, transport.Server{Hello: hello, Handler: handler})
//
// The gateway listens and sends requests:
//
//	l, err := transport.Listen(":8443", transport.ListenConfig{..., OnSession: func(s *transport.Session) {
//		resp, err := s.RoundTrip(req)
//	}})
//	err = l.Serve(ctx)
//
// Above this package the two carriers are told apart only by [Carrier]: methods,
// repeated headers, trailers, informational answers, early answers, streaming
// with back-pressure and cancellation behave the same, and one conformance suite
// runs over both.
//
// # Session exchange
//
// The gateway's first request on a connection is POST [SessionPath], full
// duplex; both bodies are newline-delimited JSON and stay open for the session's
// life. The agent says hello, the gateway welcome or refused, the agent ready;
// from then on the gateway may send requests. Either side may say drain.
// Everything in the exchange is bounded (see the constants), and an unknown
// type of line is ignored so that later versions can add some.
//
// # Trust
//
// The agent verifies the gateway by TLS before it says anything, see
// [ClientTLS]. The gateway authenticates the agent by the key in its hello.
package transport
