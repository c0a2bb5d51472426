// The watchdog of a function, inside the function's own process: health, readiness, limits, metrics, logs and a
// graceful end, with nothing but the standard library. template/go and template/bash have the same file.

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const lockFile = "/tmp/.lock"

// errOverLimit is why a call's context ends when the call took too long. Callers who go away end it too.
var errOverLimit = errors.New("the call is over its time limit")

type watchdog struct {
	handler http.Handler
	// The contract of the classic watchdog: no /_/ready, no X-Timeout, and log lines of its own.
	isClassic bool

	read, write, exec time.Duration
	port, metricsPort int
	maxInflight       int64
	readyPath         string
	logsCallID        bool

	inflight atomic.Int64
	draining atomic.Bool
	hasLock  bool
	metrics  metrics
}

// newWatchdog reads the environment. The arguments are the limits where it sets none.
func newWatchdog(handler http.Handler, read, write, exec time.Duration) *watchdog {
	if flagOf("jwt_auth", false) {
		say.fail("jwt_auth is not supported here, and a function that should be protected must not run without it")
	}
	return &watchdog{
		handler:     handler,
		read:        timeOf("read_timeout", read),
		write:       timeOf("write_timeout", write),
		exec:        timeOf("exec_timeout", exec),
		port:        numberOf("port", 8080),
		metricsPort: numberOf("metrics_port", 8081),
		maxInflight: int64(numberOf("max_inflight", 0)),
		readyPath:   os.Getenv("ready_path"),
		logsCallID:  flagOf("log_callid", false),
	}
}

// run serves until SIGTERM or SIGINT, finishes the calls in flight, and ends the process.
func (d *watchdog) run() {
	if len(os.Args) > 1 && strings.TrimLeft(os.Args[1], "-") == "run-healthcheck" {
		if _, err := os.Stat(lockFile); err != nil {
			say.fail("unable to find lock file.")
		}
		os.Exit(0)
	}
	routes := http.NewServeMux()
	routes.HandleFunc("/_/health", d.health)
	if !d.isClassic {
		routes.HandleFunc("/_/ready", d.ready)
	}
	routes.HandleFunc("/", d.call)
	server := &http.Server{
		Handler:           routes,
		ReadHeaderTimeout: d.read,
		// A replica may be paused and woken: a limit on idle connections would run out meanwhile, and close the very
		// connection that the waking call comes in on. The gateway ends its idle connections itself.
		IdleTimeout: -1,
		ErrorLog:    log.New(say, "", 0),
	}
	if d.write > 0 {
		// The answer that says that a limit was reached has to get out as well.
		server.WriteTimeout = d.write + 2*time.Second
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", d.port))
	if err != nil {
		say.fail("cannot listen on port %d: %v", d.port, err)
	}
	if !flagOf("suppress_lock", false) {
		// On a read-only file system without /tmp, health follows the process alone.
		d.hasLock = os.WriteFile(lockFile, nil, 0o640) == nil
	}
	say.line("listening on port %d", d.port)
	go d.metrics.serve(d.metricsPort, &d.inflight)
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			say.fail("the server ended: %v", err)
		}
	}()
	d.drain(server, <-signals)
	say.flush()
	os.Exit(0)
}

// drain lets no new work in, and waits for what is in flight at most write_timeout; not at all when there is none.
func (d *watchdog) drain(server *http.Server, why os.Signal) {
	d.draining.Store(true)
	if d.hasLock {
		_ = os.Remove(lockFile)
	}
	say.line("%s: %d calls in flight are finished first", why, d.inflight.Load())
	patience, cancel := context.Background(), func() {}
	if d.write > 0 {
		patience, cancel = context.WithTimeout(patience, d.write)
	}
	defer cancel()
	_ = server.Shutdown(patience)
	// Connections that were taken over, such as web sockets, are not the server's to wait for.
	for d.inflight.Load() > 0 && patience.Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
	if left := d.inflight.Load(); left > 0 {
		say.line("still %d calls in flight after write_timeout", left)
	}
}

func (d *watchdog) isHealthy() bool {
	if d.draining.Load() {
		return false
	}
	if !d.hasLock {
		return true
	}
	// Somebody else may remove it, which is a way to take a replica out of rotation.
	_, err := os.Stat(lockFile)
	return err == nil
}

func (d *watchdog) health(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case !d.isHealthy():
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		_, _ = w.Write([]byte("OK"))
	}
}

func (d *watchdog) ready(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case !d.isHealthy():
		w.WriteHeader(http.StatusServiceUnavailable)
	case d.maxInflight > 0 && d.inflight.Load() >= d.maxInflight:
		w.WriteHeader(http.StatusTooManyRequests)
	case d.readyPath != "":
		r.URL.Path = d.readyPath
		d.call(w, r)
	default:
		_, _ = w.Write([]byte("OK"))
	}
}

// call gives one request to the handler and sees to its limits.
func (d *watchdog) call(w http.ResponseWriter, r *http.Request) {
	defer d.inflight.Add(-1)
	if d.inflight.Add(1) > d.maxInflight && d.maxInflight > 0 {
		d.metrics.count(r.Method, http.StatusTooManyRequests, 0)
		sayPlain(w, http.StatusTooManyRequests, "faas-middleware",
			fmt.Sprintf("Concurrent request limit exceeded. Max concurrent requests: %d\n", d.maxInflight))
		return
	}
	a := &answer{to: w, header: http.Header{}, started: time.Now()}
	defer d.account(a, r)
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	given := r.WithContext(ctx)
	if d.read > 0 && r.Body != http.NoBody {
		// Not the server's ReadTimeout: that one would end the context of a handler that takes longer, too.
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(a.started.Add(d.read))
		given.Body = &timedBody{ReadCloser: r.Body, control: control}
	}
	limit, after := d.limitOf(r)
	var over <-chan time.Time
	if after > 0 {
		timer := time.NewTimer(after)
		defer timer.Stop()
		over = timer.C
	}
	// The handler has a goroutine of its own, because Go cannot stop it: one that is over its limit is left to itself.
	ended := make(chan any, 1)
	go func() {
		defer func() {
			reason := recover()
			if reason != nil && reason != http.ErrAbortHandler {
				say.line("panic in the handler: %v\n%s", reason, debug.Stack())
			}
			ended <- reason
		}()
		d.handler.ServeHTTP(a, given)
	}()
	select {
	case reason := <-ended:
		if reason == nil {
			a.finish()
		} else if reason == http.ErrAbortHandler || !a.replace(http.StatusInternalServerError, fmt.Sprintf("the function panicked: %v", reason)) {
			// Part of an answer is out: only a closed connection says that the rest will not come.
			panic(http.ErrAbortHandler)
		}
	case <-over:
		cancel(errOverLimit)
		say.line("%s %s: no answer within %s of %s", r.Method, r.RequestURI, limit, after)
		if !a.replace(http.StatusGatewayTimeout, fmt.Sprintf("the function gave no answer within its %s of %s", limit, after)) {
			panic(http.ErrAbortHandler)
		}
	}
}

// limitOf gives the name and the value of the limit that a call meets first. 0: none.
func (d *watchdog) limitOf(r *http.Request) (name string, after time.Duration) {
	if d.isClassic {
		return "write_timeout", d.write
	}
	if r.Header.Get("Upgrade") != "" {
		return "", 0
	}
	name, after = "exec_timeout", d.exec
	if wanted, err := time.ParseDuration(r.Header.Get("X-Timeout")); err == nil && wanted > 0 && (after == 0 || wanted < after) {
		name, after = "X-Timeout", wanted
	}
	accept := strings.ToLower(r.Header.Get("Accept"))
	if strings.Contains(accept, "text/event-stream") || strings.Contains(accept, "application/x-ndjson") {
		after = 0
	}
	if d.write > 0 && (after == 0 || d.write < after) {
		name, after = "write_timeout", d.write
	}
	return name, after
}

func (d *watchdog) account(a *answer, r *http.Request) {
	status, bytes := a.sent()
	took := time.Since(a.started).Seconds()
	d.metrics.count(r.Method, status, took)
	if d.isClassic || strings.HasPrefix(r.UserAgent(), "kube-probe") {
		return
	}
	id := ""
	if d.logsCallID {
		id = " [none]"
		if given := r.Header.Get("X-Call-Id"); given != "" {
			id = " [" + given + "]"
		}
	}
	say.line("%s %s - %d %s - ContentLength: %s (%.4fs)%s", r.Method, r.RequestURI, status, http.StatusText(status),
		humanSize(bytes), took, id)
}

func sayPlain(w http.ResponseWriter, status int, who, text string) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("X-OpenFaaS-Internal", who)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// timedBody ends the limit for reading the request once all of it has been read.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// answer stands between the handler and the connection: a handler that goes on after its call is over reaches nothing.
type answer struct {
	to      http.ResponseWriter
	started time.Time
	// The handler's own headers, copied when the answer begins: a late handler may still write into them.
	header http.Header

	mu      sync.Mutex
	begun   bool
	over    bool
	status  int
	written int64
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.over && !a.begun {
		a.begin(status)
	}
}

func (a *answer) begin(status int) {
	header := a.to.Header()
	for name, values := range a.header {
		header[name] = values
	}
	if status >= 200 || status == http.StatusSwitchingProtocols {
		header.Set("X-Duration-Seconds", fmt.Sprintf("%f", time.Since(a.started).Seconds()))
	}
	// Panics where the status is none, and then nothing has begun.
	a.to.WriteHeader(status)
	if status >= 200 || status == http.StatusSwitchingProtocols {
		a.begun, a.status = true, status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return 0, http.ErrHandlerTimeout
	}
	if !a.begun {
		a.begin(http.StatusOK)
	}
	n, err := a.to.Write(p)
	a.written += int64(n)
	return n, err
}

func (a *answer) Flush() { _ = a.FlushError() }

func (a *answer) FlushError() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return http.ErrHandlerTimeout
	}
	if !a.begun {
		a.begin(http.StatusOK)
	}
	return http.NewResponseController(a.to).Flush()
}

// Hijack lends the connection to the handler, which from then on is alone with it.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return nil, nil, http.ErrHandlerTimeout
	}
	conn, stream, err := http.NewResponseController(a.to).Hijack()
	if err == nil {
		a.begun, a.status = true, http.StatusSwitchingProtocols
	}
	return conn, stream, err
}

// Unwrap is how http.ResponseController finds deadlines and the like.
func (a *answer) Unwrap() http.ResponseWriter { return a.to }

// finish ends an answer whose handler has returned.
func (a *answer) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	if !a.begun {
		a.begin(http.StatusOK)
		return
	}
	// Trailers are headers that were set after the answer had begun.
	for name, values := range a.header {
		a.to.Header()[name] = values
	}
}

// replace answers instead of the handler; false when part of its own answer is out already.
func (a *answer) replace(status int, text string) bool {
	if !a.mu.TryLock() {
		// The handler is writing to a caller who does not read: that has to end first.
		_ = http.NewResponseController(a.to).SetWriteDeadline(time.Now())
		a.mu.Lock()
	}
	defer a.mu.Unlock()
	a.over = true
	if a.begun {
		return false
	}
	a.begun, a.status, a.written = true, status, int64(len(text)+1)
	a.to.Header().Set("X-Duration-Seconds", fmt.Sprintf("%f", time.Since(a.started).Seconds()))
	sayPlain(a.to, status, "of-watchdog", text+"\n")
	return true
}

func (a *answer) sent() (status int, bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.begun {
		return http.StatusInternalServerError, 0
	}
	return a.status, a.written
}

// ------------------------------------------------------------------------------------------------------------ settings

// timeOf reads a time limit: a Go duration, or whole seconds. 0 means that there is no limit.
func timeOf(name string, otherwise time.Duration) time.Duration {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second
	}
	if limit, err := time.ParseDuration(text); err == nil && limit >= 0 {
		return limit
	}
	say.line("%s=%s is no duration such as 10s, 1m30s or whole seconds; %s is used", name, text, otherwise)
	return otherwise
}

func numberOf(name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	if number, err := strconv.Atoi(text); err == nil && number >= 0 {
		return number
	}
	say.line("%s=%s is no whole number; %d is used", name, text, otherwise)
	return otherwise
}

func flagOf(name string, otherwise bool) bool {
	switch text := os.Getenv(name); text {
	case "":
		return otherwise
	default:
		return text == "true" || text == "1"
	}
}

// ------------------------------------------------------------------------------------------------------------- log

// say is the watchdog's own log, on stderr.
var say = &speaker{}

// speaker gathers lines for a moment: one write for each call would cost more than the call.
type speaker struct {
	mu      sync.Mutex
	waiting []byte
}

func (s *speaker) line(format string, values ...any) {
	_, _ = s.Write([]byte(strings.TrimRight(fmt.Sprintf(format, values...), "\n") + "\n"))
}

func (s *speaker) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		time.AfterFunc(20*time.Millisecond, s.flush)
	}
	s.waiting = time.Now().AppendFormat(s.waiting, "2006/01/02 15:04:05 ")
	s.waiting = append(s.waiting, line...)
	return len(line), nil
}

func (s *speaker) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = stderr.Write(s.waiting)
	s.waiting = s.waiting[:0]
}

// fail says why the process cannot go on, and ends it.
func (s *speaker) fail(format string, values ...any) {
	s.line(format, values...)
	s.flush()
	os.Exit(1)
}

// stderr stays the real one when prefixLogs puts another in its place.
var stderr = os.Stderr

// prefixLogs gives what the handler prints a time and the name of the stream, line by line, when prefix_logs is true.
func prefixLogs() {
	if !flagOf("prefix_logs", false) {
		return
	}
	prefixStream("stdout", &os.Stdout)
	prefixStream("stderr", &os.Stderr)
	log.SetOutput(os.Stderr)
}

func prefixStream(name string, stream **os.File) {
	reader, writer, err := os.Pipe()
	if err != nil {
		say.line("prefix_logs: %v", err)
		return
	}
	real := *stream
	*stream = writer
	go func() {
		lines := bufio.NewReaderSize(reader, 64<<10)
		for {
			// A line longer than the buffer comes in parts, so that it blocks nobody.
			line, err := lines.ReadSlice('\n')
			if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
				return
			}
			fmt.Fprintf(real, "%s %s: %s\n", time.Now().Format("2006/01/02 15:04:05"), name, strings.TrimSuffix(string(line), "\n"))
		}
	}()
}

// humanSize writes 230B or 1.5kB: four significant digits, as Docker prints sizes.
func humanSize(bytes int64) string {
	size, unit := float64(bytes), 0
	units := []string{"B", "kB", "MB", "GB", "TB"}
	for size >= 1000 && unit < len(units)-1 {
		size /= 1000
		unit++
	}
	return fmt.Sprintf("%.4g%s", size, units[unit])
}

// --------------------------------------------------------------------------------------------------------- metrics

var buckets = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

type series struct {
	total  uint64
	sum    float64
	within [11]uint64
}

type metrics struct {
	mu     sync.Mutex
	series map[string]*series
}

func (m *metrics) count(method string, status int, seconds float64) {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE":
		method = strings.ToLower(method)
	default:
		// Callers can invent methods without end.
		method = "unknown"
	}
	key := fmt.Sprintf(`code="%d",method="%s"`, status, method)
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.series[key]
	if one == nil {
		if m.series == nil {
			m.series = map[string]*series{}
		}
		one = &series{}
		m.series[key] = one
	}
	one.total++
	one.sum += seconds
	for i := len(buckets) - 1; i >= 0 && seconds <= buckets[i]; i-- {
		one.within[i]++
	}
}

func (m *metrics) text(inflight int64) string {
	var totals, durations strings.Builder
	m.mu.Lock()
	for key, one := range m.series {
		fmt.Fprintf(&totals, "http_requests_total{%s} %d\n", key, one.total)
		for i, bucket := range buckets {
			fmt.Fprintf(&durations, "http_request_duration_seconds_bucket{%s,le=\"%g\"} %d\n", key, bucket, one.within[i])
		}
		fmt.Fprintf(&durations, "http_request_duration_seconds_bucket{%s,le=\"+Inf\"} %d\n", key, one.total)
		fmt.Fprintf(&durations, "http_request_duration_seconds_sum{%s} %g\n", key, one.sum)
		fmt.Fprintf(&durations, "http_request_duration_seconds_count{%s} %d\n", key, one.total)
	}
	m.mu.Unlock()
	return "# HELP http_requests_total Total number of HTTP requests made.\n# TYPE http_requests_total counter\n" +
		totals.String() +
		"# HELP http_request_duration_seconds Seconds spent serving HTTP requests.\n# TYPE http_request_duration_seconds histogram\n" +
		durations.String() +
		"# HELP http_requests_in_flight Number of HTTP requests being served.\n# TYPE http_requests_in_flight gauge\n" +
		fmt.Sprintf("http_requests_in_flight %d\n", inflight)
}

// serve offers the metrics on a port of their own; 0 switches them off.
func (m *metrics) serve(port int, inflight *atomic.Int64) {
	if port == 0 {
		return
	}
	routes := http.NewServeMux()
	routes.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write([]byte(m.text(inflight.Load())))
	})
	server := &http.Server{Addr: fmt.Sprintf(":%d", port), Handler: routes, ReadHeaderTimeout: 10 * time.Second}
	if err := server.ListenAndServe(); err != nil {
		say.line("no metrics: %v", err)
	}
}
