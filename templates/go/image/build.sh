#!/bin/sh
# The steps of the image's build, one a layer: build.sh warm | sort | modules | make
set -eu

function=/go/src/handler/function
# Where the function's own main goes: below its module, so that its go.mod, replacements and vendor folder hold as they
# are, and with an underscore, so that `go test ./...` does not see it.
main=$function/_main
out=/built/home/app

export GOFLAGS="-trimpath ${GOFLAGS:-}" CGO_ENABLED="${CGO_ENABLED:-0}"

go_build() {
  flags="-s -w"
  # The final image has no C library.
  if [ "$CGO_ENABLED" = 1 ]; then flags="$flags -linkmode external -extldflags -static"; fi
  go build -ldflags "$flags" -o "$1" "$2"
}

# What no function changes is compiled once: the watchdog, and with it what functions and their
# tests use of the standard library.
warm() {
  mkdir -p /watchdog
  cp /template/runtime/*.go /watchdog
  cd /watchdog
  printf 'module watchdog\n\ngo 1.21\n' >go.mod
  printf 'package main\n\nfunc main() { forkWatchdog().run() }\n' >main.go
  printf 'package main\n\nimport (\n\t_ "net/http/httptest"\n\t"testing"\n)\n\nfunc TestNothing(*testing.T) {}\n' >main_test.go
  # Go makes its tools when they are first used, and one only for a package without tests.
  mkdir -p /watchdog/untested
  printf 'package untested\n\nfunc Nothing() {}\n' >/watchdog/untested/nothing.go
  go_build /watchdog/fwatchdog .
  go test -cover ./... >/dev/null

  # All that the image has beside the program: certificates, a user, /tmp.
  mkdir -p /built/root/etc/ssl/certs /built/root/tmp /built/home/app
  chmod 1777 /built/root/tmp
  echo 'app:x:1000:1000::/home/app:/sbin/nologin' >/built/root/etc/passwd
  echo 'app:x:1000:' >/built/root/etc/group
  cp /etc/ssl/certs/ca-certificates.crt /built/root/etc/ssl/certs/
}

# Puts what the dependency layer depends on into /manifests: module files, and a list of the packages imported.
sort_code() {
  mkdir -p /manifests
  cd /code
  find . \( -name go.mod -o -name go.sum -o -name go.work -o -name go.work.sum \) \
    -not -path '*/vendor/*' -not -path './static/*' | while read -r file; do
    mkdir -p "/manifests/$(dirname "$file")"
    cp "$file" "/manifests/$file"
  done
  if [ ! -d vendor ]; then
    find . -name '*.go' -not -name '*_test.go' -not -path '*/vendor/*' -exec cat {} + |
      sed -nE 's/^[[:space:]]*(import[[:space:]]+)?([A-Za-z_.][A-Za-z0-9_]*[[:space:]]+)?"([^" ]+\.[^" ]+\/[^" ]+)"[[:space:]]*(\/\/.*)?$/\3/p' |
      sort -u >/manifests/.imports
  fi
}

private_modules() {
  if [ -z "${GIT_TOKEN:-}" ] && [ -f /run/secrets/GIT_TOKEN ]; then GIT_TOKEN=$(cat /run/secrets/GIT_TOKEN); fi
  if [ -z "${GIT_TOKEN:-}" ]; then return; fi
  for pattern in $(printf '%s' "${GOPRIVATE:-github.com}" | tr , ' '); do
    host=${pattern%%/*}
    # Only in this step's environment: a token in a file would stay in the layer.
    count=${GIT_CONFIG_COUNT:-0}
    export "GIT_CONFIG_KEY_$count=url.https://x-access-token:$GIT_TOKEN@$host/.insteadOf"
    export "GIT_CONFIG_VALUE_$count=https://$host/"
    export GIT_CONFIG_COUNT=$((count + 1))
  done
}

# Modules that are downloaded and compiled stay as they are until go.mod, go.sum or the imports change.
modules() {
  cd "$function"
  if [ "${GO111MODULE:-}" = off ] || [ ! -f .imports ]; then return; fi
  private_modules
  go mod download
  packages=$(xargs -r go list -e -f '{{if not .Error}}{{.ImportPath}}{{end}}' <.imports 2>/dev/null || true)
  # Only to have them compiled: what cannot be is said where it matters.
  if [ -n "$packages" ]; then go build $packages || true; fi
}

check() {
  cd "$function"
  if [ "${FORMAT_ENABLED:-true}" != false ]; then
    wrong=$(find . -name '*.go' -not -path '*/vendor/*' -not -path './_main/*' -exec gofmt -l {} +)
    if [ -n "$wrong" ]; then
      echo "not formatted as gofmt does: $(echo $wrong)"
      echo 'Run "gofmt -s -w ." in the folder of the function, or build with FORMAT_ENABLED=false.'
      exit 1
    fi
  fi
  if [ "${TEST_ENABLED:-true}" != false ]; then go test ./... -cover; fi
}

compile() {
  cd "$function"
  module=handler/function
  if [ "${GO111MODULE:-}" != off ]; then module=$(go mod edit -json | sed -n 's/^\t\t"Path": "\(.*\)"$/\1/p' | head -n 1); fi
  mkdir -p "$main" "$out"
  sed "s#\"handler/function\"#\"$module\"#" "/template/contracts/$CONTRACT.go" >"$main/main.go"
  if [ "$CONTRACT" = classic ]; then
    go_build "$out/handler" ./_main
    cp /watchdog/fwatchdog "$out"
  else
    cp /template/runtime/watchdog.go "$main"
    go_build "$out/fwatchdog" ./_main
  fi

  mkdir -p "$out/static"
  if [ -d static ]; then cp -R static/. "$out/static"; fi
}

# One step rather than two, and both at the same time: a save waits for this. Errors of the check come first.
make_function() {
  private_modules
  compile >/tmp/compiled 2>&1 &
  compiling=$!
  if ! (check); then
    kill "$compiling" 2>/dev/null || true
    exit 1
  fi
  if wait "$compiling"; then cat /tmp/compiled; else
    cat /tmp/compiled
    exit 1
  fi
}

case $1 in
warm) warm ;;
sort) sort_code ;;
modules) modules ;;
make) make_function ;;
esac
