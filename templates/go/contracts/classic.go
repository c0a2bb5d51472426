package main

import (
	"fmt"
	"io"
	"os"

	function "handler/function"
)

// A process for each call: the watchdog gives it the body on stdin and takes its answer from stdout.
func main() {
	var handle func([]byte) string = function.Handle
	body, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Fprintf(os.Stderr, "cannot read standard input: %v\n", err)
		os.Exit(1)
	}
	fmt.Println(handle(body))
}
