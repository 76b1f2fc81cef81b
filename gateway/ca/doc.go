// Package ca gives the gateway's listeners their TLS certificates.
//
// Without any set-up the gateway is its own certificate authority. The CA is
// made once in the data folder, and its SHA-256 goes into every pool's token as
// a pin, so agents know the gateway without a public certificate:
//
//	authority, err := ca.LoadOrCreate(dataDir)
//	if err != nil {
//		return err
//	}
//	tlsConfig, err := authority.TLSConfig([]string{"gateway.example"})
//	pin := authority.SHA256() // transport.Token.CASHA256
//
// Certificates issued under the CA live in memory only, last 30 days and are
// replaced by themselves well before they end; the CA is what must be kept.
// Whoever reads its key can pose as the gateway to every agent, so the file is
// its owner's alone.
//
// An operator with a certificate of their own uses [LoadKeyPair] instead, which
// takes up renewed files without a restart.
package ca
