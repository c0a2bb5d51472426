package main

import (
	"net/http"
	"time"

	function "handler/function"
)

func main() {
	var handle http.HandlerFunc = function.Handle
	// The default mux, so that what the function registers by itself is served as well.
	http.HandleFunc("/", handle)
	prefixLogs()
	newWatchdog(http.DefaultServeMux, 10*time.Second, 10*time.Second, 10*time.Second).run()
}
