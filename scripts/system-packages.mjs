// The Debian packages that the set-up needs, and apt.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { capture, has } from './steps.mjs'

// What each package is for, and how to see that it is there.
const SYSTEM_PACKAGES = [
  { name: 'g++', what: 'C++ compiler', present: () => has('c++') || has('g++') || has('clang++') },
  { name: 'make', what: 'build tool', present: () => has('make') || has('ninja') },
  { name: 'cmake', what: 'build tool', present: () => has('cmake') },
  {
    name: 'libdnnl-dev',
    what: 'oneDNN, for the native training engine',
    present: () => dpkg('libdnnl-dev') || hasHeader('oneapi/dnnl/dnnl.hpp'),
  },
  {
    // Debian's oneDNN can also compute by OpenCL, and its CMake file insists on it; libdnnl-dev only recommends it.
    name: 'ocl-icd-opencl-dev',
    what: "OpenCL's headers, which oneDNN's CMake file asks for",
    present: () => dpkg('ocl-icd-opencl-dev') || (hasHeader('CL/cl.h') && dpkg('ocl-icd-libopencl1')),
  },
  {
    name: 'fontconfig-config',
    what: 'the configuration of fonts',
    present: () => existsSync('/etc/fonts/fonts.conf'),
  },
  {
    name: 'fonts-dejavu-core',
    what: 'a font for the labels of pictures',
    present: () =>
      dpkg('fonts-dejavu-core') || hasFont('/usr/share/fonts') || hasFont('/usr/local/share/fonts'),
  },
]

function dpkg(name) {
  return capture('dpkg-query', ['-W', '-f=${Status}', name])?.includes('install ok installed') ?? false
}

function hasHeader(name) {
  return ['/usr/include', '/usr/local/include'].some((folder) => existsSync(join(folder, name)))
}

function hasFont(folder) {
  return (
    existsSync(folder) &&
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).some((name) =>
      /\.(ttf|otf|ttc|pfb)$/i.test(name),
    )
  )
}

/** The packages that are not there. */
export function missingPackages() {
  return SYSTEM_PACKAGES.filter((item) => !item.present())
}

/** How this user may run apt: a prefix of the command line; undefined where there is no way. */
function privilege() {
  if (!has('apt-get')) return undefined
  if (process.getuid?.() === 0) return []
  return has('sudo') && capture('sudo', ['-n', 'true']) !== undefined ? ['sudo', '-n'] : undefined
}

/** Runs a command beside other work; its output is shown only where it fails. Resolves to whether it succeeded. */
function quietly(command) {
  return new Promise((resolve) => {
    const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text))
    child.on('error', (error) => (output += error.message))
    child.on('close', (code) => {
      if (code !== 0)
        console.error(`\n${command.join(' ')} failed:\n${output.trim().split('\n').slice(-8).join('\n')}`)
      resolve(code === 0)
    })
  })
}

/** Installs packages by apt where this user may. Resolves to whether they are there now; never rejects. */
export async function installPackages(missing) {
  if (missing.length === 0) {
    console.log('system packages: all there')
    return true
  }
  const names = missing.map((item) => item.name)
  const list = missing.map((item) => `${item.name} (${item.what})`).join(', ')
  const prefix = privilege()
  if (prefix === undefined) {
    console.log(`system packages missing: ${list}`)
    console.log(
      `  install them with: sudo apt-get install ${names.join(' ')}  (or your system's equivalents)`,
    )
    return false
  }
  console.log(`installing by apt: ${list}`)
  const apt = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q']
  // One broken source fails the update; the lists that are there may do.
  await quietly([...apt, 'update'])
  return quietly([...apt, 'install', '-y', '--no-install-recommends', ...names])
}
