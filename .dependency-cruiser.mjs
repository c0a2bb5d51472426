// The one-direction rule of docs/architecture.md, as rules. Each comment says what to do instead.
const roomNames = 'docker|provider|builder|queue|registry|watcher|transport|setup|debug'
/** An npm package with one home: everything else goes through that room. */
const home = (name, pkg, folder) => ({
  name: `${name}-has-one-home`,
  severity: 'error',
  comment: `Only ${folder} may use ${pkg}; say what you need in a contract of src/core and let ${folder} do it.`,
  from: { pathNot: `^${folder}` },
  to: { path: `node_modules/${pkg}` },
})

export default {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'Two files that need each other are one idea, or hide a third: move the shared part down.',
      from: {},
      to: { circular: true },
    },
    {
      name: 'core-imports-nothing',
      severity: 'error',
      comment: 'Core is words and contracts. I/O belongs to a room, behaviour to the engine.',
      from: { path: '^src/core/' },
      to: { pathNot: '^src/core/' },
    },
    {
      name: 'engine-knows-core-only',
      severity: 'error',
      comment:
        'The engine decides; it reaches the world through a contract of src/core, given to it by app.ts.',
      from: { path: '^src/engine/' },
      to: { path: '^src/', pathNot: '^src/(core|engine)/' },
    },
    {
      name: 'rooms-are-blind',
      severity: 'error',
      comment: 'Rooms do not see each other (docker/ is the one exception). Wire them in app.ts.',
      from: { path: `^src/(${roomNames})/` },
      to: { path: '^src/', pathNot: '^src/(core|docker|$1)/' },
    },
    {
      name: 'stack-is-pure',
      severity: 'error',
      comment: 'stack/ translates stack files to core words and nothing else.',
      from: { path: '^src/stack/' },
      to: { path: '^src/', pathNot: '^src/(core|stack)/' },
    },
    {
      name: 'doors-use-the-engine',
      severity: 'error',
      comment:
        'A door imports engine, core and (for stack files) stack/. Only the commands that host a platform or touch Docker may import app.ts.',
      from: { path: '^src/(gateway|cli)/' },
      to: { path: '^src/', pathNot: '^src/(core|engine|stack|$1)/|^src/(app|toolbox|config|package)[.]ts$' },
    },
    {
      name: 'app-is-imported-by-commands-only',
      severity: 'error',
      comment: 'app.ts holds the keys: commands, index.ts and tests use it, nothing below it does.',
      from: {
        path: '^src/',
        pathNot: '^src/(cli/commands/|index[.]ts|app[.]ts|toolbox[.]ts|open-[^/]+[.]ts)',
      },
      to: { path: '^src/(app|toolbox|rooms|open-[^/]+)[.]ts$' },
    },
    home('dockerode', '(dockerode|docker-modem)', 'src/docker/'),
    home('better-sqlite3', 'better-sqlite3', 'src/registry/'),
    home('chokidar', 'chokidar', 'src/watcher/'),
    home('koa', '(koa|@koa)/', 'src/gateway/'),
    home('undici', 'undici/', 'src/transport/'),
    home('nats', '@nats-io', 'src/queue/'),
    home('yaml', 'yaml/', 'src/(stack/|builder/|cli/yaml-text)'),
    home('commander', 'commander', 'src/cli/'),
    {
      name: 'no-unlisted-packages',
      severity: 'error',
      comment: 'Every package the product uses stands in dependencies.',
      from: { path: '^src/', pathNot: '[.]test[.]ts$' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'unknown'], pathNot: 'node_modules/@types/' },
    },
  ],
  options: {
    exclude: { path: '[.]test[.]ts$' },
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
    },
  },
}
