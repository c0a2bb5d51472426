'use strict'
// Runs npm during the build: install.js production | development | test. Written for Node 12.
//   production   what runs: `npm ci` where there is a lock file, else `npm install`, both without dev dependencies
//   development  all dependencies, and only where tests will need them
//   test         puts /code in place and runs `npm test`, unless it is npm's placeholder or TEST_ENABLED=false

const { spawnSync } = require('child_process')
const fs = require('fs')

const folder = '/home/app/function'
/** Build secrets are files that only this step sees: they are in no layer, no history and no build argument. */
const secrets = '/run/secrets'

function npm(args) {
  const env = Object.assign({}, process.env)
  if (fs.existsSync(`${secrets}/npmrc`)) {
    // The function's own .npmrc is root's by now; so it comes second, and the secret one is the user's.
    env.npm_config_userconfig = `${secrets}/npmrc`
    if (fs.existsSync('/root/.npmrc')) env.npm_config_globalconfig = '/root/.npmrc'
  }
  if (fs.existsSync(`${secrets}/NPM_TOKEN`)) env.NPM_TOKEN = fs.readFileSync(`${secrets}/NPM_TOKEN`, 'utf8').trim()
  const result = spawnSync('npm', args, { cwd: folder, stdio: 'inherit', env })
  if (result.error) throw result.error
  if (result.status !== 0) process.exit(result.status || 1)
}

function readJson(file) {
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : undefined
}

const manifest = readJson(`${folder}/package.json`) || {}
const hasOwn = (group) => Object.keys(manifest[group] || {}).length > 0
const test = (manifest.scripts || {}).test
const tests = process.env.TEST_ENABLED !== 'false' && test !== undefined && !/no test specified/.test(test)

function install(withDev) {
  const major = Number(spawnSync('npm', ['--version'], { encoding: 'utf8' }).stdout.split('.')[0])
  const lock = readJson(`${folder}/npm-shrinkwrap.json`) || readJson(`${folder}/package-lock.json`)
  const readable = lock !== undefined && (major >= 7 || lock.lockfileVersion < 3)
  if (lock !== undefined && !readable) {
    console.log(`npm ${major} cannot read lockfileVersion ${lock.lockfileVersion}: versions come from package.json`)
  }
  const args = readable ? ['ci'] : ['install', '--no-package-lock']
  if (!withDev) args.push(major >= 7 ? '--omit=dev' : '--production')
  npm(args.concat('--no-audit', '--no-fund'))
}

const step = process.argv[2]
if (step === 'production') {
  if (hasOwn('dependencies') || hasOwn('optionalDependencies')) install(false)
} else if (step === 'development') {
  if (tests && hasOwn('devDependencies')) install(true)
} else if (tests) {
  const copied = spawnSync('cp', ['-R', '/code/.', folder], { stdio: 'inherit' })
  if (copied.status !== 0) process.exit(1)
  npm(['test', '--silent'])
}
