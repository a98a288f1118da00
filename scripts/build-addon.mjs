// Builds build/Release/nodule.node by cmake-js; does nothing when it is up to date.
//   node scripts/build-addon.mjs [--sanitize] [--out FOLDER] [--cuda AUTO|ON|OFF] [--onednn AUTO|ON|OFF]
//                                [--architectures "80;90"] [--jobs N] [--force]
// AUTO builds CUDA kernels where nvcc and an NVIDIA GPU are, for that GPU; the native engine where oneDNN is; and where
// either makes the build fail, it is left out and said so. --cuda ON alone compiles for all architectures (minutes).
// NODULE_CUDA, NODULE_ONEDNN, NODULE_CUDA_ARCHITECTURES in the environment are the defaults of these three.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import { parseArgs } from 'node:util'
import { firstError, suspectOf } from './build-errors.mjs'
import { nativeCode } from './native-code.mjs'
import { capture, root } from './steps.mjs'

const environment = (name, otherwise) => process.env[name] || otherwise
const { values } = parseArgs({
  options: {
    sanitize: { type: 'boolean', default: false },
    out: { type: 'string' },
    cuda: { type: 'string', default: environment('NODULE_CUDA', 'AUTO') },
    onednn: { type: 'string', default: environment('NODULE_ONEDNN', 'AUTO') },
    architectures: { type: 'string', default: environment('NODULE_CUDA_ARCHITECTURES', '') },
    toolchain: { type: 'string' },
    jobs: { type: 'string', default: String(Math.min(4, availableParallelism())) },
    force: { type: 'boolean', default: false },
  },
})
const out = values.out ?? (values.sanitize ? 'build-sanitize' : 'build')
const folder = isAbsolute(out) ? out : join(root, out)
const release = join(folder, 'Release')
/** What was built from what, and what was left out and why: read here and by `nodule doctor`. */
const recordFile = join(folder, 'nodule.json')

function say(text) {
  console.log(`build-addon: ${text}`)
}

function fail(problem, solutions) {
  console.error(`build-addon: ${problem}`)
  console.error('Possible solutions:')
  for (const solution of solutions) console.error(`- ${solution}`)
  console.error('- without the addon nodule runs its TypeScript kernels: slower, same results')
  process.exit(1)
}

/** The first line that a program prints about its version, or undefined when it cannot be run. */
const version = (program) => capture(program, ['--version'])?.split('\n')[0]

/** The compute capabilities of the GPUs here, such as ['90']. */
function gpuArchitectures() {
  const text = capture('nvidia-smi', ['--query-gpu=compute_cap', '--format=csv,noheader']) ?? ''
  return [...new Set(text.match(/\d+\.\d+/g) ?? [])].map((capability) => capability.replace('.', ''))
}

/** Flags for CMake, and what they leave out with the reason. */
function choose() {
  const left = {}
  let { cuda, architectures } = values
  if (cuda === 'AUTO') {
    const compiler = process.env['CUDACXX'] ?? 'nvcc'
    const found = architectures === '' ? gpuArchitectures().join(';') : architectures
    if (capture(compiler, ['--version']) === undefined) left.cuda = 'no CUDA toolkit (nvcc) was found'
    else if (found === '') left.cuda = 'no NVIDIA GPU was found (--cuda ON builds the kernels for all architectures)'
    cuda = left.cuda === undefined ? 'ON' : 'OFF'
    architectures = found
  }
  if (values.sanitize || cuda === 'OFF') left.cuda ??= 'switched off'
  if (values.onednn === 'OFF') left.onednn = 'switched off'
  return { flags: { cuda, onednn: values.onednn, architectures }, left }
}

/** A hash of everything but the sources that the addon depends on: flags, compilers, oneDNN, Node's architecture. */
function configurationHash(flags) {
  const folders = ['/usr/lib', '/usr/local/lib', `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`]
  const found = (file) => folders.some((lib) => existsSync(join(lib, file)))
  const configuration = {
    flags,
    sanitize: values.sanitize,
    toolchain: values.toolchain,
    platform: `${process.platform} ${process.arch}`,
    compiler: version(process.env['CXX'] ?? 'c++'),
    nvcc: flags.cuda === 'ON' ? capture(process.env['CUDACXX'] ?? 'nvcc', ['--version']) : undefined,
    oneDnn: found('cmake/dnnl'),
    openCl: found('libOpenCL.so'),
    environment: [process.env['CXXFLAGS'], process.env['CUDAFLAGS'], process.env['dnnl_DIR']],
  }
  return createHash('sha256').update(JSON.stringify(configuration)).digest('hex')
}

/** Runs cmake-js; resolves to what it printed, and whether it succeeded. */
function build(cmakeJs, flags) {
  const definitions = {
    NODULE_SANITIZE: values.sanitize ? 'ON' : 'OFF',
    NODULE_CUDA: flags.cuda,
    NODULE_ONEDNN: flags.onednn,
    NODULE_CUDA_ARCHITECTURES: flags.architectures,
    NODULE_CODE: nativeCode(),
    ...(values.toolchain === undefined ? {} : { CMAKE_TOOLCHAIN_FILE: values.toolchain }),
  }
  const child = spawn(
    process.execPath,
    [
      cmakeJs,
      'build',
      ...['--directory', root, '--out', folder, '--config', 'Release', '--parallel', values.jobs],
      ...['--prefer-make', '--log-level', 'warn'],
      ...Object.entries(definitions).map(([name, value]) => `--CD${name}=${value}`),
    ],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let output = ''
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ])
    from.on('data', (data) => {
      output += data
      to.write(data)
    })
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ built: code === 0, output }))
  })
}

const NAMES = { onednn: 'oneDNN (the native training engine)', cuda: 'CUDA' }

const cmake = version('cmake')
if (cmake === undefined)
  fail('cmake is not installed', ['apt-get install cmake g++ make', 'npm run setup in a clone (does it where it may)'])
if (version(process.env['CXX'] ?? 'c++') === undefined)
  fail('no C++ compiler (c++, g++ or clang++)', ['apt-get install g++ make', 'set CXX to a C++17 compiler'])

const chosen = choose()
const wanted = { code: nativeCode(), configuration: configurationHash(chosen.flags) }
let record = {}
try {
  record = JSON.parse(readFileSync(recordFile, 'utf8'))
} catch {
  // Nothing was built yet.
}
const same = (name) => record[name] === wanted[name]
if (!values.force && existsSync(join(release, 'nodule.node')) && same('code') && same('configuration')) {
  say(`up to date: ${join(out, 'Release', 'nodule.node')}`)
  process.exit(0)
}

const require = createRequire(import.meta.url)
let cmakeJs
try {
  cmakeJs = join(dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js')
} catch {
  fail('cmake-js is not installed', ['npm ci'])
}

say(`building ${join(out, 'Release', 'nodule.node')} with ${cmake}`)
mkdirSync(folder, { recursive: true })
const started = Date.now()
let { flags } = chosen
const { left } = chosen
// CMake remembers flags (the name of the sources too), and the compilers and libraries that it did not find.
let lookAgain = values.force || !same('configuration') || !same('code')
for (;;) {
  if (lookAgain) rmSync(join(folder, 'CMakeCache.txt'), { force: true })
  // A module that this build leaves out must not stay behind from an earlier one.
  if (flags.onednn === 'OFF') rmSync(join(release, 'nodule_tensor.node'), { force: true })
  const { built, output } = await build(cmakeJs, flags)
  if (built) break
  const chosenByUs = {
    onednn: values.onednn === 'AUTO' && flags.onednn !== 'OFF',
    cuda: values.cuda === 'AUTO' && flags.cuda === 'ON',
  }
  const suspect = suspectOf(output, chosenByUs)
  if (suspect === undefined)
    fail(`the build failed: ${firstError(output)}`, ['read the first error above', `remove ${folder} and build again`])
  left[suspect] = `its build failed: ${firstError(output)}`
  say(`the build with ${NAMES[suspect]} failed: ${firstError(output)}`)
  say(`trying again without ${NAMES[suspect]}`)
  flags = { ...flags, [suspect]: 'OFF' }
  lookAgain = true
}
if (!existsSync(join(release, 'nodule_tensor.node'))) left.onednn ??= 'oneDNN was not found'
writeFileSync(recordFile, `${JSON.stringify({ ...wanted, left }, null, 2)}\n`)
for (const [name, reason] of Object.entries(left)) say(`without ${NAMES[name]}: ${reason}`)
say(`done in ${((Date.now() - started) / 1000).toFixed(0)} s`)
