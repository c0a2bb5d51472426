package function

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHandleAnswersWithWhatItWasSent(t *testing.T) {
	w := httptest.NewRecorder()
	Handle(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("hello")))
	if w.Code != http.StatusOK {
		t.Errorf("status %d, want 200", w.Code)
	}
	if !strings.Contains(w.Body.String(), "hello") {
		t.Errorf("%q does not have what was sent", w.Body)
	}
}
