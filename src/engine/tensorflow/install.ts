/**
 * Builds tfjs-node's binding against the TensorFlow library of PyPI's wheel. tfjs-node downloads a binding for TensorFlow
 * 2.9.1 and CUDA 11.2 when it is installed, which fails on many machines; its sources compile against a current one.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { NoduleError } from '../../errors.js'
import { runProgram } from '../run_program.js'
import { IN_CLONE, PACKAGE_ROOT } from '../../version.js'

/** The TensorFlow release that is installed by default: the one that this was tested with. */
export const TENSORFLOW_VERSION = '2.21.0'
/** SHA-256 of that release's wheel for WHEEL_PYTHON on x86-64, the only one of tensorflow-cpu that is taken. */
const WHEEL_SHA256 = '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c'
/** The Python that the wheel is made for: the machine's own may be newer than TensorFlow knows. */
const WHEEL_PYTHON = '3.11'

/**
 * Installs the package whose sources are compiled. It is an optional peer: its own script would download TensorFlow 2.9.1
 * for everybody. --no-save: a clone's lock file stays as it is.
 */
export const TENSORFLOW_INSTALL = `npm install --ignore-scripts ${IN_CLONE ? '--no-save ' : ''}@tensorflow/tfjs-node-gpu@4.22.0`

export interface InstallOptions {
  /** With CUDA 12: TensorFlow's GPU wheel and NVIDIA's libraries (about 4 GB). */
  gpu?: boolean
  version?: string
  onLine?: ((line: string) => void) | undefined
}

/** The folder of tfjs-node-gpu or tfjs-node. Throws NoduleError (UNAVAILABLE) where neither is installed. */
function tfjsNodeFolder(): string {
  const require = createRequire(join(PACKAGE_ROOT, 'package.json'))
  for (const name of ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']) {
    try {
      return dirname(require.resolve(`${name}/package.json`))
    } catch {
      // the next one
    }
  }
  throw new NoduleError(
    'UNAVAILABLE',
    'neither @tensorflow/tfjs-node-gpu nor @tensorflow/tfjs-node is installed',
    {
      expected: `${TENSORFLOW_INSTALL}; then this command again`,
    },
  )
}

/**
 * What pip is asked for. The tested release without CUDA is taken by its hash and no other file of that name; other
 * releases, and NVIDIA's libraries, come as the package index gives them.
 * @param requirements file that is written where a hash is named
 */
export function wheelArguments(
  version: string,
  gpu: boolean,
  requirements: string,
): { flags: string[]; content?: string } {
  if (gpu) return { flags: [`tensorflow[and-cuda]==${version}`] }
  const wheel = `tensorflow-cpu==${version}`
  if (version !== TENSORFLOW_VERSION) return { flags: ['--no-deps', wheel] }
  return {
    flags: ['--no-deps', '--require-hashes', '-r', requirements],
    content: `${wheel} --hash=sha256:${WHEEL_SHA256}\n`,
  }
}

/**
 * Downloads TensorFlow with pip, compiles tfjs-node's binding against it and tries it in a process of its own.
 * Needs python3 with pip, a C++17 compiler and 1.5 GB (with `gpu` 8 GB); writes into tfjs-node's folder only.
 * @returns one line about what was installed
 */
export async function installTensorflow(o: InstallOptions = {}): Promise<string> {
  if (process.platform !== 'linux')
    throw new NoduleError('UNSUPPORTED', 'engine install', { expected: 'Linux', actual: process.platform })
  const { version = TENSORFLOW_VERSION, onLine } = o
  if (!/^\d+\.\d+\.\d+$/.test(version))
    throw new NoduleError('INVALID_PARAMETER', 'TensorFlow version', {
      expected: 'a release such as 2.21.0',
      actual: version,
    })
  const folder = tfjsNodeFolder()
  const site = join(folder, 'deps', 'python')
  const binding = join(folder, 'lib', 'napi-v8', 'tfjs_binding.node')
  // What is there stays until the download has succeeded.
  const fresh = `${site}.new`
  rmSync(fresh, { recursive: true, force: true })
  mkdirSync(dirname(binding), { recursive: true })

  const requirements = join(dirname(site), 'requirements.txt')
  const wheel = wheelArguments(version, o.gpu === true, requirements)
  mkdirSync(dirname(requirements), { recursive: true })
  if (wheel.content !== undefined) writeFileSync(requirements, wheel.content)
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--target', fresh]
  const target = ['--only-binary=:all:', '--python-version', WHEEL_PYTHON]
  await runProgram(
    'python3',
    [...pip, ...target, ...wheel.flags],
    'python3 with pip, and a package index',
    onLine,
  )
  rmSync(site, { recursive: true, force: true })
  renameSync(fresh, site)

  const library = join(site, 'tensorflow')
  if (!existsSync(join(library, 'libtensorflow_cc.so.2')))
    throw new NoduleError('UNSUPPORTED', 'this wheel has no libtensorflow_cc.so.2', { path: library })
  const headers = dirname(
    createRequire(join(PACKAGE_ROOT, 'package.json')).resolve('node-api-headers/package.json'),
  )
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => join(folder, 'binding', name))
  const include = [folder, join(folder, 'binding'), join(library, 'include'), join(headers, 'include')]
  await runProgram(
    process.env['CXX'] ?? 'g++',
    [
      ...['-std=c++17', '-O2', '-fPIC', '-shared', '-w', '-DNAPI_VERSION=8'],
      ...include.map((path) => `-I${path}`),
      ...sources,
      ...['-o', binding, `-L${library}`, `-Wl,-rpath,${library}`],
      ...['-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2'],
    ],
    'a C++17 compiler (apt-get install g++, or set CXX)',
    onLine,
  )
  const check =
    `require('node:util').isNullOrUndefined ??= (x) => x == null; const tf = require(${JSON.stringify(folder)});` +
    'const x = tf.ones([8, 8]); if (tf.matMul(x, x).dataSync()[0] !== 8) process.exit(3);' +
    'console.log(tf.version["tfjs-node"], tf.backend().binding.TF_Version)'
  await runProgram(process.execPath, ['-e', check], 'a binding that loads and computes', onLine)
  return `TensorFlow ${version}${o.gpu === true ? ' with CUDA' : ''} for tfjs-node, in ${folder}`
}
