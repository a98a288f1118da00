// Builds build/Release/nodule.node by cmake-js; does nothing when it is up to date.
//   node scripts/build-addon.mjs [--sanitize] [--out FOLDER] [--cuda AUTO|ON|OFF] [--onednn AUTO|ON|OFF]
//                                [--architectures "80;90"] [--jobs N] [--force]
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const { values } = parseArgs({
  options: {
    sanitize: { type: 'boolean', default: false },
    out: { type: 'string' },
    cuda: { type: 'string', default: 'AUTO' },
    onednn: { type: 'string', default: 'AUTO' },
    architectures: { type: 'string', default: '' },
    jobs: { type: 'string', default: String(Math.min(4, availableParallelism())) },
    force: { type: 'boolean', default: false },
  },
})
const out = values.out ?? (values.sanitize ? 'build-sanitize' : 'build')
const folder = join(root, out)
const addon = join(folder, 'Release', 'nodule.node')
const stampFile = join(folder, 'nodule.stamp')

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
function version(program, flags = ['--version']) {
  try {
    return execFileSync(program, flags, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return undefined
  }
}

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.md'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
}

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest('hex')

/** Hashes of all that the addon depends on: the sources; and flags, compilers, oneDNN, Node's architecture. */
function stamps() {
  const files = [join(root, 'CMakeLists.txt'), ...sources(join(root, 'native'))]
  const { jobs: _, force: __, ...flags } = values
  const oneDnn = ['/usr/lib', '/usr/local/lib', `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`]
  const configuration = {
    flags,
    platform: `${process.platform} ${process.arch}`,
    compiler: version(process.env['CXX'] ?? 'c++')?.split('\n')[0],
    nvcc: values.cuda === 'OFF' ? undefined : version(process.env['CUDACXX'] ?? 'nvcc'),
    oneDnn: oneDnn.some((lib) => existsSync(join(lib, 'cmake', 'dnnl'))),
    environment: [process.env['CXXFLAGS'], process.env['CUDAFLAGS'], process.env['dnnl_DIR']],
  }
  return {
    code: sha256(...files.flatMap((file) => [`${file.slice(root.length)}\n`, readFileSync(file)])),
    configuration: sha256(JSON.stringify(configuration)),
  }
}

const cmake = version('cmake')
if (cmake === undefined)
  fail('cmake is not installed', ['apt-get install cmake g++ make', 'npm run setup (does it where it may)'])
if (version(process.env['CXX'] ?? 'c++') === undefined)
  fail('no C++ compiler (c++, g++ or clang++)', ['apt-get install g++ make', 'set CXX to a C++17 compiler'])

const { code, configuration } = stamps()
const wanted = `${code} ${configuration}\n`
const found = existsSync(stampFile) ? readFileSync(stampFile, 'utf8') : ''
if (!values.force && existsSync(addon) && found === wanted) {
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

const flags = {
  NODULE_SANITIZE: values.sanitize ? 'ON' : 'OFF',
  NODULE_CUDA: values.cuda,
  NODULE_ONEDNN: values.onednn,
  NODULE_CUDA_ARCHITECTURES: values.architectures,
}
say(`building ${join(out, 'Release', 'nodule.node')} with ${cmake.split('\n')[0]}`)
mkdirSync(folder, { recursive: true })
// CMake remembers flags, and the compilers and libraries that it did not find: it must look again.
if (!found.endsWith(` ${configuration}\n`)) rmSync(join(folder, 'CMakeCache.txt'), { force: true })
const started = Date.now()
const run = spawnSync(
  process.execPath,
  [
    cmakeJs,
    'build',
    ...['--directory', root, '--out', folder, '--config', 'Release', '--parallel', values.jobs],
    ...['--prefer-make', '--log-level', 'warn'],
    ...Object.entries(flags).map(([name, value]) => `--CD${name}=${value}`),
  ],
  { cwd: root, stdio: 'inherit' },
)
if (run.status !== 0)
  fail(`the build failed (exit status ${run.status ?? run.signal})`, [
    'read the first error above',
    `remove the folder ${out} and build again`,
    'node scripts/build-addon.mjs --cuda OFF, where the CUDA toolkit does not fit the compiler',
    'node scripts/build-addon.mjs --onednn OFF, where oneDNN is older than 2.6',
  ])
writeFileSync(stampFile, wanted)
say(`done in ${((Date.now() - started) / 1000).toFixed(0)} s`)
