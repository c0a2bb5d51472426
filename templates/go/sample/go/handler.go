package function

import "fmt"

// Handle answers one call: req is its body, and what is returned is the answer.
func Handle(req []byte) string {
	return fmt.Sprintf("Body: %s", req)
}
