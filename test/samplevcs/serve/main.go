// Command serve runs the sample VCS, for trying things out by hand.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"vcsagent/test/samplevcs"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8929", "HOST:PORT to serve on")
	flag.Parse()
	dir, err := os.MkdirTemp("", "sample-vcs-")
	if err != nil {
		log.Fatal(err)
	}
	vcs, err := samplevcs.New(dir)
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("sample VCS at http://%s, token %s, repository in %s\n", l.Addr(), samplevcs.Token, dir)
	log.Fatal(http.Serve(l, vcs))
}
