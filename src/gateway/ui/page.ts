/** Everything that the page is, as text: there is nothing to build and nothing to find on disk. */

/** Only what this gateway serves may be loaded or asked, and nobody may frame the page (it could be clicked unseen). */
export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** The page; `release` is the version to show. */
export function pageHtml(release: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>faasdock</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css">
</head>
<body>
<header><h1>faasdock</h1> <span class="quiet">${escapeHtml(release)}</span></header>
<main>
<h2>Functions</h2>
<p id="state" class="quiet" role="status">Reading …</p>
<table id="functions" hidden>
<thead><tr><th>Function</th><th>State</th><th>Replicas</th><th>Calls</th><th>Image</th></tr></thead>
<tbody></tbody>
</table>
<noscript><p>The list needs JavaScript; <a href="/system/functions">the same as JSON</a> does not.</p></noscript>
<h2>Routes</h2>
<ul>
<li><code>/function/NAME</code>: call a function; <code>NAME.NAMESPACE</code> for one of another namespace</li>
<li><a href="/system/functions">/system/functions</a>, <a href="/system/namespaces">/system/namespaces</a>,
<a href="/system/secrets">/system/secrets</a> (names only), <a href="/system/info">/system/info</a></li>
<li><code>/system/logs?name=NAME</code>: what a function writes</li>
<li><a href="/metrics">/metrics</a>: for Prometheus</li>
</ul>
<p class="quiet">Manual: <code>faasdock --help</code></p>
</main>
<script src="page.js" defer></script>
</body>
</html>
`
}

export const PAGE_CSS = `:root { color-scheme: light dark; --quiet: #666; --line: #ddd; --bad: #b3261e; --good: #1b6e3c }
@media (prefers-color-scheme: dark) { :root { --quiet: #aaa; --line: #444; --bad: #ff8a80; --good: #7ddc9f } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
h1 { display: inline; font-size: 1.5rem }
h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .75rem .35rem 0; text-align: left; vertical-align: top }
td:nth-child(3), td:nth-child(4) { font-variant-numeric: tabular-nums }
td:last-child { overflow-wrap: anywhere }
.quiet { color: var(--quiet) }
.failing { color: var(--bad) }
.ready { color: var(--good) }
.problem { color: var(--bad); white-space: pre-wrap; overflow-wrap: anywhere; font-size: .9rem }
`

export const PAGE_JS = `'use strict'
const EVERY_MS = 2000
const DEFAULT_NAMESPACE = 'openfaas-fn'
const state = document.getElementById('state')
const table = document.getElementById('functions')

async function read(path) {
  const response = await fetch(path, { headers: { Accept: 'application/json' } })
  if (!response.ok) throw new Error(path + ' answered ' + response.status)
  return response.json()
}

function cell(text, className) {
  const td = document.createElement('td')
  td.textContent = text
  if (className) td.className = className
  return td
}

function row(fn) {
  const tr = document.createElement('tr')
  const name = fn.namespace === DEFAULT_NAMESPACE ? fn.name : fn.name + '.' + fn.namespace
  const link = document.createElement('a')
  link.href = '/function/' + name
  link.textContent = name
  const first = cell('')
  first.append(link)
  const status = cell(fn.state, fn.state)
  if (fn.problem) {
    const problem = document.createElement('div')
    problem.className = 'problem'
    problem.textContent = fn.problem.message + '\\n→ ' + fn.problem.remedy
    status.append(problem)
  }
  tr.append(first, status, cell(fn.availableReplicas + '/' + fn.replicas), cell(fn.invocationCount), cell(fn.image))
  return tr
}

async function refresh() {
  const namespaces = await read('/system/namespaces')
  const lists = await Promise.all(
    namespaces.map((name) => read('/system/functions?verbose=1&namespace=' + encodeURIComponent(name))),
  )
  const functions = lists.flat()
  table.tBodies[0].replaceChildren(...functions.map(row))
  table.hidden = functions.length === 0
  state.textContent = functions.length === 0 ? 'None yet: deploy some with "faasdock up".' : ''
}

async function loop() {
  try {
    if (!document.hidden) await refresh()
  } catch (error) {
    state.textContent = 'The gateway does not answer (' + error.message + '); what is below may be old.'
  }
  setTimeout(loop, EVERY_MS)
}

loop()
`

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
