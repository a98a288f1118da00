// For projects that install this package: the native kernels, prebuilt where an optional package carries them for this
// platform and version, else built from source. Never fails: without them nodule runs its TypeScript kernels, and
// `nodule doctor` says so. NODULE_ADDON=none builds nothing.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from './steps.mjs'

// In a clone `npm run setup` builds, after it has seen to the compiler.
if (existsSync(join(root, 'tsconfig.build.json')) || process.env.NODULE_ADDON === 'none') process.exit(0)

/** In a process of its own: a broken addon must not end this one. */
const prebuilt = spawnSync(
  process.execPath,
  [
    '--input-type=module',
    '-e',
    `import { loadAddon } from ${JSON.stringify(pathToFileURL(join(root, 'dist', 'src', 'kernels', 'find_addon.js')).href)}
     process.exit(['nodule.node', 'nodule_tensor.node'].every((file) => loadAddon(file).addon) ? 0 : 1)`,
  ],
  { encoding: 'utf8' },
)
if (prebuilt.status === 0) console.log('nodule: the native kernels are there, prebuilt')
else {
  const built = spawnSync(process.execPath, [join(root, 'scripts', 'build-addon.mjs')], { stdio: 'inherit' })
  if (built.status !== 0)
    console.error(
      'nodule: no native kernels: it runs in JavaScript, many times slower. See: npx nodule doctor',
    )
}
