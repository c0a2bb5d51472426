package function

import (
	"fmt"
	"net/http"

	handler "github.com/openfaas/templates-sdk/go-http"
)

// Handle answers one call.
func Handle(req handler.Request) (handler.Response, error) {
	return handler.Response{
		Body:       []byte(fmt.Sprintf("Body: %s", req.Body)),
		StatusCode: http.StatusOK,
	}, nil
}
