// npm run setup: everything that a fresh machine needs, in steps that do nothing when they are done.
//   1. system packages (apt, where this user may), beside them npm packages (npm ci)   2. the native addon   3. TypeScript
//   4. what is missing, by `nodule doctor`
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fail, printMissing, root, run, say, start } from './steps.mjs'
import { installPackages, missingPackages } from './system-packages.mjs'

/** True when the stamp `file` holds `value` already. */
function stamped(file, value) {
  return existsSync(file) && readFileSync(file, 'utf8') === value
}

/** Resolves to a code, 0 where they are there now. */
async function installNpmPackages() {
  const stamp = join(root, 'node_modules', '.nodule-lock')
  const value = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(process.version)
    .digest('hex')
  if (stamped(stamp, value)) {
    console.log('npm packages: up to date')
    return 0
  }
  const code = await start('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
  if (code === 0) writeFileSync(stamp, value)
  return code
}

function listFiles(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? listFiles(path) : [path]
  })
}

function compileTypeScript() {
  const inputs = ['src', 'benchmarks']
    .map((name) => join(root, name))
    .filter(existsSync)
    .flatMap(listFiles)
  const hash = createHash('sha256')
  for (const path of [...inputs, join(root, 'tsconfig.json'), join(root, 'tsconfig.build.json')].sort(
    (a, b) => (a < b ? -1 : 1),
  ))
    hash.update(path).update(readFileSync(path))
  const value = hash.digest('hex')
  const stamp = join(root, 'dist', '.nodule-sources')
  if (stamped(stamp, value)) {
    console.log('TypeScript: up to date')
    // The same sources may be another commit by now.
    run(process.execPath, ['scripts/write-commit.mjs'])
    return
  }
  run('npm', ['run', '--silent', 'build'])
  mkdirSync(join(root, 'dist'), { recursive: true })
  writeFileSync(stamp, value)
}

// Without the addon everything still works in JavaScript, many times slower: only the gate insists on it.
function buildAddon() {
  const built = spawnSync(process.execPath, ['scripts/build-addon.mjs'], { cwd: root, stdio: 'inherit' })
  if (built.status === 0) return
  if (process.env.CI) fail('the addon could not be built')
  console.error('going on without the native addon: expect JavaScript speed')
}

const started = Date.now()
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19))
  fail(`nodule needs Node 20.19 or newer; this is ${process.version}`)
say('set-up 1 of 3: system packages and npm packages')
// Both to their ends: apt must not be left half done.
const [code] = await Promise.all([installNpmPackages(), installPackages(missingPackages())])
if (code !== 0) process.exit(code)
say('set-up 2 of 3: native addon')
buildAddon()
say('set-up 3 of 3: TypeScript')
compileTypeScript()
console.log(`\nset-up done in ${((Date.now() - started) / 1000).toFixed(1)} s`)
printMissing()
