// Package privateurl finds the URL that stands for private://POOL/path on the
// machine that it is asked on: a worker that can reach the pool's VCS itself goes
// straight to it, any other goes through the gateway.
//
//	mappings, err := privateurl.FromEnviron(os.Environ())
//	r := privateurl.Resolver{Mappings: mappings, Gateway: "https://gateway.example:8080"}
//	to, err := r.Resolve("private://gitlab/acme/infra.git")
//	// to.URL is https://gateway.example:8080/private/gitlab/acme/infra.git
//
// What the package guarantees:
//
//   - Path and query are those of the private:// URL byte for byte: nothing is
//     decoded, cleaned or encoded.
//   - The host and the beginning of the path are those of the mapping, or of the
//     gateway and the pool; no private:// URL changes them. What a mapping's VCS
//     could read as a way out of the base endpoint's path is refused. The gateway's
//     agents judge their paths themselves.
//   - A result has no space, no line break and no control character.
//   - No error shows what may be a password.
//
// Errors are sentences for whoever wrote the URL or set the variables.
package privateurl
