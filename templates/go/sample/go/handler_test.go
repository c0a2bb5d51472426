package function

import (
	"strings"
	"testing"
)

func TestHandleAnswersWithWhatItWasSent(t *testing.T) {
	if answer := Handle([]byte("hello")); !strings.Contains(answer, "hello") {
		t.Errorf("%q does not have what was sent", answer)
	}
}
