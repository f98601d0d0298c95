// Answers with a text that only the dependency can make.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/dustin/go-humanize"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s bricks from go-root\n", humanize.Comma(1234567))
	})
	log.Fatal(http.ListenAndServe(net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT")), nil))
}
