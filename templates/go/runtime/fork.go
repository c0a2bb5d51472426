// A process for each call, as the classic watchdog has it: the body is its stdin, its stdout is the answer, and the
// call is in its environment. template/go and template/bash have the same file.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

type fork struct {
	command     []string
	limit       time.Duration
	contentType string
	// stderr is a part of the answer.
	combines     bool
	hasVariables bool
	marshals     bool
	debugs       bool
	showsHeaders bool
}

// forkWatchdog serves calls with the command of fprocess.
func forkWatchdog() *watchdog {
	f := &fork{
		command:      strings.Fields(os.Getenv("fprocess")),
		contentType:  os.Getenv("content_type"),
		combines:     flagOf("combine_output", true),
		hasVariables: flagOf("cgi_headers", true),
		marshals:     flagOf("marshal_request", false),
		debugs:       flagOf("write_debug", false),
		showsHeaders: flagOf("debug_headers", false),
	}
	if len(f.command) == 0 {
		say.fail("fprocess is not set: it names the command that answers calls, such as fprocess=cat")
	}
	d := newWatchdog(f, 30*time.Second, 30*time.Second, 0)
	d.isClassic = true
	children.adopt()
	// Here that limit ends a process, and the answer says so.
	f.limit = d.exec
	return d
}

func (f *fork) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodGet:
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	started := time.Now()
	f.show("in", r.Header)
	body, err := f.bodyOf(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err, nil)
		return
	}
	say.line("Forking fprocess.")
	cmd := exec.Command(f.command[0], f.command[1:]...)
	// A group of its own: what is killed is the command with all that it started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if f.hasVariables {
		cmd.Env = append(os.Environ(), variablesOf(r)...)
	}
	var out, complaints output
	cmd.Stdout, cmd.Stderr = &out, &out
	if !f.combines {
		cmd.Stderr = &complaints
	}
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = children.start(cmd)
	}
	if err != nil {
		refuse(w, http.StatusInternalServerError, err, nil)
		return
	}
	fed := make(chan error, 1)
	go func() { fed <- feed(stdin, body) }()
	ended := make(chan error, 1)
	go func() { ended <- children.wait(cmd) }()

	var over <-chan time.Time
	if f.limit > 0 {
		timer := time.NewTimer(f.limit)
		defer timer.Stop()
		over = timer.C
	}
	left := r.Context().Done()
	for {
		select {
		case <-over:
			say.line("Killing process: %s", strings.Join(f.command, " "))
			killGroup(cmd)
			w.WriteHeader(http.StatusRequestTimeout)
			_, _ = w.Write([]byte("Killed process.\n"))
			return
		case <-left:
			if errors.Is(context.Cause(r.Context()), errOverLimit) {
				killGroup(cmd)
				return
			}
			// The caller has gone; the process may finish what it began.
			left = nil
		case failed := <-fed:
			fed = nil
			if failed != nil {
				killGroup(cmd)
				refuse(w, http.StatusBadRequest, failed, nil)
				return
			}
		case failed := <-ended:
			if fed != nil {
				// A caller who is still sending would not see an answer.
				if err := <-fed; err != nil && failed == nil {
					refuse(w, http.StatusBadRequest, err, nil)
					return
				}
			}
			f.reply(w, r, failed, &out, &complaints, started)
			return
		}
	}
}

func (f *fork) reply(w http.ResponseWriter, r *http.Request, failed error, out, complaints *output, started time.Time) {
	if complaints.size > 0 {
		say.line("stderr: %s", complaints.text())
	}
	if f.debugs {
		_, _ = out.WriteTo(os.Stdout)
	}
	if failed != nil {
		refuse(w, http.StatusInternalServerError, failed, out)
		return
	}
	if f.contentType != "" {
		w.Header().Set("Content-Type", f.contentType)
	} else if sent := r.Header.Get("Content-Type"); sent != "" {
		w.Header().Set("Content-Type", sent)
	}
	w.WriteHeader(http.StatusOK)
	_, _ = out.WriteTo(w)
	f.show("out", w.Header())
	say.line("Wrote %d Bytes - Duration: %fs", out.size, time.Since(started).Seconds())
}

func refuse(w http.ResponseWriter, status int, why error, out *output) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "%v\n", why)
	if out != nil {
		_, _ = out.WriteTo(w)
	}
}

func (f *fork) show(direction string, header http.Header) {
	if !f.showsHeaders {
		return
	}
	for name, values := range header {
		say.line("[%s] %s=%s", direction, name, values)
	}
}

// bodyOf gives what goes to stdin: the body as it comes, or a JSON envelope of headers and body.
func (f *fork) bodyOf(r *http.Request) (io.Reader, error) {
	if !f.marshals {
		return r.Body, nil
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	envelope, err := json.Marshal(map[string]any{
		"header": r.Header,
		"body":   map[string]any{"raw": raw},
	})
	return strings.NewReader(string(envelope)), err
}

// feed writes all of the body to a process, or throws the rest away when the process does not want it.
func feed(stdin io.WriteCloser, body io.Reader) error {
	_, err := io.Copy(stdin, body)
	_ = stdin.Close()
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
		_, err = io.Copy(io.Discard, body)
	}
	return err
}

// variablesOf tells a process about its call.
func variablesOf(r *http.Request) []string {
	variables := []string{}
	tell := func(name, value string) { variables = append(variables, "Http_"+name+"="+value) }
	for name, values := range r.Header {
		tell(strings.ReplaceAll(name, "-", "_"), values[0])
	}
	tell("Method", r.Method)
	tell("ContentLength", fmt.Sprint(r.ContentLength))
	tell("Content_Length", fmt.Sprint(r.ContentLength))
	if len(r.TransferEncoding) > 0 {
		tell("Transfer_Encoding", r.TransferEncoding[0])
	}
	if r.URL.RawQuery != "" {
		tell("Query", r.URL.RawQuery)
	}
	if r.URL.Path != "" {
		tell("Path", r.URL.Path)
	}
	if r.Host != "" {
		tell("Host", r.Host)
	}
	return variables
}

func killGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}

// output keeps what a process prints in pieces, so that a large answer is in memory once.
type output struct {
	mu     sync.Mutex
	pieces [][]byte
	size   int
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pieces = append(o.pieces, append([]byte(nil), p...))
	o.size += len(p)
	return len(p), nil
}

// WriteTo is for a process that has ended.
func (o *output) WriteTo(w io.Writer) (written int64, err error) {
	for _, piece := range o.pieces {
		n, err := w.Write(piece)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func (o *output) text() string {
	var text strings.Builder
	_, _ = o.WriteTo(&text)
	return text.String()
}

// children are the commands that run. What a command leaves behind in the background belongs to process 1, which is
// this one, once the command has ended: somebody has to take note of its end, or it stays as a dead process for ever.
var children = family{own: map[int]bool{}}

type family struct {
	mu  sync.Mutex
	own map[int]bool
}

func (f *family) start(cmd *exec.Cmd) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := cmd.Start()
	if err == nil {
		f.own[cmd.Process.Pid] = true
	}
	return err
}

func (f *family) wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.own, cmd.Process.Pid)
	return err
}

func (f *family) adopt() {
	if os.Getpid() != 1 {
		return
	}
	deaths := make(chan os.Signal, 1)
	signal.Notify(deaths, syscall.SIGCHLD)
	go func() {
		for range deaths {
			f.bury()
		}
	}()
}

// bury takes note of the dead that are nobody else's.
func (f *family) bury() {
	f.mu.Lock()
	defer f.mu.Unlock()
	processes, _ := os.ReadDir("/proc")
	for _, process := range processes {
		pid, err := strconv.Atoi(process.Name())
		if err != nil || pid == 1 || f.own[pid] {
			continue
		}
		stat, _ := os.ReadFile("/proc/" + process.Name() + "/stat")
		// PID (NAME) STATE PARENT …, and a name may have anything in it.
		fields := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))
		if len(fields) > 1 && fields[0] == "Z" && fields[1] == "1" {
			_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		}
	}
}
