import type { DebugLanguage } from '../../core/debug.ts'

/** Where debuggers listen in a container when nobody says otherwise: each program's own default. */
export const DEBUG_PORT: Readonly<Record<DebugLanguage, number>> = { node: 9229, python: 5678 }

/** What a command of ours in a container must not be told of the function's settings. */
export const PUMP_ENV = ['NODE_OPTIONS=', 'PYTHONPATH=']

const PERL = `
use IO::Socket::INET;
my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$ENV{P}") or die "$!";
my $up = fork // die "$!";
my ($from, $to) = $up ? ($s, *STDOUT) : (*STDIN, $s);
while (sysread($from, my $b, 65536)) { for (my $at = 0; $at < length $b;) { $at += syswrite($to, $b, 65536, $at) // exit } }
$up ? kill("TERM", $up) : shutdown($s, 1);
`
const NODE = `
const s = require('net').connect(Number(process.env.P), '127.0.0.1')
s.setNoDelay(true)
process.stdin.pipe(s).pipe(process.stdout)
s.on('error', (e) => { console.error(e.message); process.exit(1) })
`
const PYTHON = `
import os, socket, threading
s = socket.create_connection(("127.0.0.1", int(os.environ["P"])))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
def up():
    while True:
        b = os.read(0, 65536)
        if not b: break
        s.sendall(b)
    try: s.shutdown(socket.SHUT_WR)
    except OSError: pass
threading.Thread(target=up, daemon=True).start()
while True:
    b = s.recv(65536)
    if not b: break
    while b: b = b[os.write(1, b):]
`

/**
 * A command that passes its standard input and output on to a port of the container's loopback. It runs in the function's
 * memory, so the smallest program that is there does it.
 */
export function pumpCommand(language: DebugLanguage, port: number): string[] {
  if (language === 'python')
    return ['sh', '-c', `export P=${port}; exec $(command -v python3 || echo python) -S -E -c '${PYTHON}'`]
  const script = [
    `export P=${port}`,
    // Others of that name do not end when their input does.
    `if nc --help 2>&1 | grep -qi busybox; then exec nc 127.0.0.1 $P; fi`,
    `if command -v perl >/dev/null; then exec perl -e '${PERL}'; fi`,
    `exec node -e "${NODE}"`,
  ]
  return ['sh', '-c', script.join('\n')]
}

/**
 * Tells the Node process of a container to let debuggers in, which every Node does for this signal; of several the one
 * that is nobody's parent (npm and watchdogs start it). Ends with 1 where there is none.
 */
export const WAKE_NODE = [
  'sh',
  '-c',
  `
found=; parents=
for p in /proc/[0-9]*; do
  case $(readlink $p/exe) in */node|*/nodejs) found="$found \${p#/proc/}"; parents="$parents $(sed 's/.*) . //; s/ .*//' $p/stat)";; esac
done
for p in $found; do
  case "$parents " in *" $p "*) ;; *) chosen=$p;; esac
done
[ -n "$chosen" ] && kill -USR1 $chosen`,
]
