// Command referrers-registry is an in-memory registry that offers the referrers API, on a loopback address.
//
//	referrers-registry 127.0.0.1:PORT
//
// Port 0 takes a free one. The address in use is the first line on standard output. It ends when its
// standard input is closed, so that it never outlives the test that started it.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "referrers-registry:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: referrers-registry 127.0.0.1:PORT")
	}
	listener, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	quiet := log.New(io.Discard, "", 0)
	return http.Serve(listener, registry.New(registry.WithReferrersSupport(true), registry.Logger(quiet)))
}
