// src → dist, bundled with the packages it uses: a start that opens a few files instead of a thousand.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** What is run or imported from outside; everything else is shared chunks. */
const ENTRIES = ['cli/main', 'index', 'setup/setup', 'setup/engine-note', 'stack/json-schema']
/** Native code cannot be bundled. */
const EXTERNAL = ['better-sqlite3']
/**
 * Loaded only when used. dockerode requires them at its start: gRPC for sessions of its own BuildKit client, which we do
 * not use, and ssh2 for engines behind ssh. Together a quarter of the start-up and ten megabytes.
 */
const LAZY = ['@grpc/grpc-js', '@grpc/proto-loader', 'ssh2']

/** Bundles `root`/src into `outdir`. Throws with esbuild's own words. */
export async function bundle(root, outdir) {
  const { build } = await import(pathToFileURL(join(root, 'node_modules/esbuild/lib/main.js')).href)
  await build({
    absWorkingDir: root,
    entryPoints: ENTRIES.map((entry) => ({ in: `src/${entry}.ts`, out: entry })),
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: true,
    sourcesContent: false,
    minifySyntax: true,
    minifyWhitespace: true,
    chunkNames: 'chunks/[name]-[hash]',
    external: EXTERNAL,
    // Its other form calls a require that is a parameter, which no bundler follows.
    alias: { 'jsonc-parser': 'jsonc-parser/lib/esm/main.js' },
    plugins: [lazy],
    // Bundled CommonJS calls require for Node's own modules.
    banner: {
      js: "import{createRequire as makeRequire}from'node:module';const require=makeRequire(import.meta.url);",
    },
    logLevel: 'warning',
  })
}

const lazy = {
  name: 'lazy',
  setup(build) {
    build.onResolve({ filter: /./ }, ({ path, namespace }) => {
      if (namespace === 'lazy') return { path, external: true }
      return LAZY.includes(path) ? { path, namespace: 'lazy' } : undefined
    })
    // Each export is a function that loads the package when it is called or constructed.
    build.onLoad({ filter: /./, namespace: 'lazy' }, ({ path }) => ({
      contents: `module.exports = new Proxy({}, { get: (_, name) => new Proxy(function () {}, {
        apply: (_target, self, args) => Reflect.apply(require(${JSON.stringify(path)})[name], self, args),
        construct: (_target, args) => Reflect.construct(require(${JSON.stringify(path)})[name], args),
        get: (_target, key) => require(${JSON.stringify(path)})[name][key],
      }) })`,
    }))
  },
}
