// node scripts/prebuild.mjs [--arch x64|arm64] [--out FOLDER] [--release]: makes FOLDER/linux-ARCH, the optional package
// with both addons for this platform, and its tarball. Nothing is published.
//   --arch arm64   cross-compiled; on Debian: dpkg --add-architecture arm64, then apt-get install g++-aarch64-linux-gnu
//                  libdnnl-dev:arm64 ocl-icd-opencl-dev:arm64
//   --release      also FOLDER/nodule, the main package that asks for the platforms made so far by optionalDependencies.
//                  The repository's own package.json does not: names that nobody has published yet could be anybody's.
// One binary serves all processors of an architecture: our loops exist in several versions that are chosen when the addon
// is loaded, and oneDNN compiles its own for the processor that it finds. Debian has no static oneDNN, so its shared
// library comes along, with the two libraries that it needs and that a machine may lack; the addon finds them beside it.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { capture, fail, root, run, say } from './steps.mjs'

const { values } = parseArgs({
  options: {
    arch: { type: 'string', default: process.arch },
    out: { type: 'string', default: join(root, 'build-prebuilt') },
    release: { type: 'boolean', default: false },
  },
})
const { arch } = values
const triplet = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[arch]
if (process.platform !== 'linux' || triplet === undefined)
  fail(`no prebuilt addons for ${process.platform} ${arch}`)
const cross = arch !== process.arch
const out = resolve(values.out)
const main = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const scope = main.name.split('/')[0]
const target = join(out, `linux-${arch}`)

/** The shared libraries that a file names as needed. */
function neededBy(file) {
  const text = capture('readelf', ['-d', file]) ?? fail(`readelf cannot read ${file}`)
  return [...text.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name)
}

/** The file of a library in the folders where Debian keeps those of the architecture. */
function libraryFile(name) {
  const folder = [`/usr/lib/${triplet}`, `/lib/${triplet}`, `/usr/${triplet}/lib`].find((at) =>
    existsSync(join(at, name)),
  )
  return folder === undefined
    ? fail(`${name} for ${arch} is not installed`)
    : realpathSync(join(folder, name))
}

say(`the addons for linux ${arch}`)
const build = join(out, `build-${arch}`)
run(process.execPath, [
  'scripts/build-addon.mjs',
  ...['--out', build, '--cuda', 'OFF', '--onednn', 'ON'],
  ...(cross ? ['--toolchain', join(root, 'scripts', `${triplet}.cmake`)] : []),
])
rmSync(target, { recursive: true, force: true })
mkdirSync(target, { recursive: true })
const strip = cross ? `${triplet}-strip` : 'strip'
for (const name of ['nodule.node', 'nodule_tensor.node']) {
  cpSync(join(build, 'Release', name), join(target, name))
  run(strip, ['--strip-unneeded', join(target, name)])
}

// What a bare system has is not carried: the C and C++ libraries. OpenMP's it may lack.
const carried = /^lib(dnnl|OpenCL|gomp)\.so/
const libraries = new Set()
for (const queue = [join(target, 'nodule_tensor.node')]; queue.length > 0;) {
  for (const name of neededBy(queue.shift())) {
    if (!carried.test(name) || libraries.has(name)) continue
    libraries.add(name)
    cpSync(libraryFile(name), join(target, name))
    queue.push(join(target, name))
  }
}
mkdirSync(join(target, 'licenses'))
cpSync(join(root, 'LICENSE'), join(target, 'LICENSE'))
for (const name of ['libdnnl2', 'ocl-icd-libopencl1', 'libgomp1']) {
  const [text] = [name, `${name}:${arch}`].map((at) => `/usr/share/doc/${at}/copyright`).filter(existsSync)
  if (text === undefined) fail(`the license of ${name} is not installed`)
  cpSync(realpathSync(text), join(target, 'licenses', name))
}
writeFileSync(
  join(target, 'package.json'),
  `${JSON.stringify(
    {
      name: `${scope}/linux-${arch}`,
      version: main.version,
      description: `The native addons of ${main.name} for Linux on ${arch}, with oneDNN`,
      license: `${main.license} AND Apache-2.0 AND BSD-2-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1`,
      os: ['linux'],
      cpu: [arch],
      libc: ['glibc'],
      engines: main.engines,
    },
    null,
    2,
  )}\n`,
)
const versions = ['nodule.node', 'nodule_tensor.node', ...libraries].flatMap((name) => [
  ...(capture('readelf', ['-V', join(target, name)]) ?? '').matchAll(/GLIBC_(\d+\.\d+)/g),
])
const newest = versions
  .map(([, version]) => version)
  .sort((a, b) => Number(a.split('.')[1]) - Number(b.split('.')[1]))
  .at(-1)
run('npm', ['pack', '--silent', '--pack-destination', out], { cwd: target })
console.log(`${target}: ${readdirSync(target).join(' ')}; needs glibc ${newest} or newer`)

if (!cross) {
  say('does it load?')
  // Only the carried libraries, and a file of its own: nothing of the build folder.
  const check = `for (const name of ['nodule.node', 'nodule_tensor.node']) {
    const { version, code, isa } = require(${JSON.stringify(target)} + '/' + name); console.log(name, version, code, isa ?? '') }`
  run(process.execPath, ['-e', check])
}

if (values.release) {
  say('the main package')
  const release = join(out, 'nodule')
  rmSync(release, { recursive: true, force: true })
  mkdirSync(release)
  run('npm', ['pack', '--silent', '--pack-destination', release])
  const [tarball] = readdirSync(release)
  run('tar', ['-xzf', join(release, tarball), '--strip-components=1', '-C', release])
  rmSync(join(release, tarball))
  const made = readdirSync(out).filter((name) => existsSync(join(out, name, 'nodule.node')))
  const manifest = JSON.parse(readFileSync(join(release, 'package.json'), 'utf8'))
  manifest.optionalDependencies = Object.fromEntries(made.map((name) => [`${scope}/${name}`, main.version]))
  // It is built already; only what a consumer runs stays.
  delete manifest.scripts.prepack
  writeFileSync(join(release, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  run('npm', ['pack', '--silent', '--pack-destination', out], { cwd: release })
}
