// What the tests' pods run, in an image of nothing else.
//
// Without arguments it is a pod's sandbox: it waits, and collects the processes that others leave.
// "serve PORT" answers every request with the host's name, and writes each to its log.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	switch {
	case len(os.Args) == 1:
	case len(os.Args) == 3 && os.Args[1] == "serve":
		serve(os.Args[2])
	default:
		fmt.Fprintln(os.Stderr, "unknown mode:", os.Args[1])
		os.Exit(2)
	}
	wait()
}

func serve(port string) {
	name, _ := os.Hostname()
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		fmt.Println(request.Method, request.URL.Path)
		fmt.Fprintln(answer, name)
	})
	fmt.Println("serving on", port)
	go func() {
		fmt.Fprintln(os.Stderr, http.ListenAndServe(":"+port, nil))
		os.Exit(1)
	}()
}

func wait() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			ended, _ := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if ended <= 0 {
				break
			}
		}
	}
}
