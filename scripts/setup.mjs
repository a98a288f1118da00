// npm run setup: everything that a fresh machine needs, in steps that do nothing when they are done.
//   1. system packages (apt, where this user may)   2. npm packages (npm ci)   3. the native addon   4. TypeScript
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { capture, fail, root, run, say } from './steps.mjs'

// What each Debian package is for, and how to see that it is there.
const SYSTEM_PACKAGES = [
  { name: 'g++', what: 'C++ compiler', present: () => has('c++') || has('g++') || has('clang++') },
  { name: 'make', what: 'build tool', present: () => has('make') || has('ninja') },
  { name: 'cmake', what: 'build tool', present: () => has('cmake') },
  {
    name: 'libdnnl-dev',
    what: 'oneDNN, for the native training engine',
    present: () => dpkg('libdnnl-dev') || existsSync('/usr/include/oneapi/dnnl/dnnl.hpp'),
  },
  {
    name: 'fonts-dejavu-core',
    what: 'a font for the labels of pictures',
    present: () => dpkg('fonts-dejavu-core') || capture('fc-match', ['sans']) !== undefined,
  },
]

function has(command) {
  return capture('sh', ['-c', `command -v ${command}`]) !== undefined
}

function dpkg(name) {
  return capture('dpkg-query', ['-W', '-f=${Status}', name])?.includes('install ok installed') ?? false
}

function installSystemPackages() {
  const missing = SYSTEM_PACKAGES.filter((item) => !item.present())
  if (missing.length === 0) {
    console.log('system packages: all there')
    return
  }
  const names = missing.map((item) => item.name)
  const list = missing.map((item) => `${item.name} (${item.what})`).join(', ')
  const isRoot = process.getuid?.() === 0
  const sudo = isRoot
    ? []
    : has('sudo') && capture('sudo', ['-n', 'true']) !== undefined
      ? ['sudo', '-n']
      : undefined
  if (!has('apt-get') || sudo === undefined) {
    console.log(`system packages missing: ${list}`)
    console.log(
      `  install them with: sudo apt-get install ${names.join(' ')}  (or your system's equivalents)`,
    )
    if (missing.some((item) => ['g++', 'make', 'cmake'].includes(item.name)))
      console.log('  without a compiler nodule runs on its slow JavaScript kernels')
    return
  }
  console.log(`installing by apt: ${list}`)
  const apt = (...args) => [...sudo, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', ...args]
  const [update, ...updateArgs] = apt('update')
  run(update, updateArgs, { stdio: ['ignore', 'ignore', 'inherit'] })
  const [install, ...installArgs] = apt('install', '-y', '--no-install-recommends', ...names)
  run(install, installArgs, { stdio: ['ignore', 'ignore', 'inherit'] })
}

/** True when the stamp `file` holds `value` already. */
function stamped(file, value) {
  return existsSync(file) && readFileSync(file, 'utf8') === value
}

function installNpmPackages() {
  const stamp = join(root, 'node_modules', '.nodule-lock')
  const value = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(process.version)
    .digest('hex')
  if (stamped(stamp, value)) {
    console.log('npm packages: up to date')
    return
  }
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
  writeFileSync(stamp, value)
}

function listFiles(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? listFiles(path) : [path]
  })
}

function compileTypeScript() {
  const inputs = ['src', 'benchmarks', 'test/kernels']
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
say('set-up 1 of 4: system packages')
installSystemPackages()
say('set-up 2 of 4: npm packages')
installNpmPackages()
say('set-up 3 of 4: native addon')
buildAddon()
say('set-up 4 of 4: TypeScript')
compileTypeScript()
console.log(`\nset-up done in ${((Date.now() - started) / 1000).toFixed(1)} s`)
