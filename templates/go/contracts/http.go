package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"reflect"
	"time"

	function "handler/function"
)

func main() {
	http.HandleFunc("/", adapt(function.Handle))
	prefixLogs()
	newWatchdog(http.DefaultServeMux, 10*time.Second, 10*time.Second, 10*time.Second).run()
}

// adapt calls a Handle of func(handler.Request) (handler.Response, error). The types are found by the names of their
// fields, so that whichever package and version of it the function imports is the one that counts.
func adapt[Request, Response any](handle func(Request) (Response, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			status, why := http.StatusBadRequest, "the body cannot be read: "+err.Error()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				status, why = http.StatusRequestTimeout, "the request was not read within its read_timeout"
			}
			http.Error(w, why, status)
			return
		}
		var request Request
		fields := reflect.ValueOf(&request).Elem()
		put(fields, "Body", body)
		put(fields, "Header", r.Header)
		put(fields, "QueryString", r.URL.RawQuery)
		put(fields, "Method", r.Method)
		put(fields, "Host", r.Host)
		if takes, ok := any(&request).(interface{ WithContext(context.Context) }); ok {
			takes.WithContext(r.Context())
		}

		response, err := handle(request)
		result := reflect.ValueOf(response)
		answer := get[[]byte](result, "Body")
		for name, values := range get[http.Header](result, "Header") {
			w.Header()[name] = values
		}
		status := get[int](result, "StatusCode")
		if status == 0 {
			status = http.StatusOK
		}
		if err != nil {
			say.line("%s %s: %v", r.Method, r.RequestURI, err)
			status = http.StatusInternalServerError
			if len(answer) == 0 {
				answer = []byte(err.Error())
			}
		}
		w.WriteHeader(status)
		_, _ = w.Write(answer)
	}
}

func put(fields reflect.Value, name string, value any) {
	if field := fields.FieldByName(name); field.IsValid() {
		field.Set(reflect.ValueOf(value))
	}
}

func get[T any](fields reflect.Value, name string) (value T) {
	if field := fields.FieldByName(name); field.IsValid() {
		value, _ = field.Interface().(T)
	}
	return value
}
