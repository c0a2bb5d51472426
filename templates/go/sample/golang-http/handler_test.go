package function

import (
	"net/http"
	"strings"
	"testing"

	handler "github.com/openfaas/templates-sdk/go-http"
)

func TestHandleAnswersWithWhatItWasSent(t *testing.T) {
	res, err := Handle(handler.Request{Method: http.MethodPost, Body: []byte("hello")})
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("status %d, error %v", res.StatusCode, err)
	}
	if !strings.Contains(string(res.Body), "hello") {
		t.Errorf("%q does not have what was sent", res.Body)
	}
}
