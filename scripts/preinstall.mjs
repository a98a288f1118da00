// For projects that install this package from npm: keeps onnxruntime-node's postinstall from downloading 250 MB of CUDA
// libraries, without which it needs no network at all. It does so wherever their files do not exist, has no switch that a
// package could set for its dependency, and fails the whole installation where it cannot download. npm runs the
// preinstall scripts of all packages before any postinstall; an empty file is enough for it. An empty file is no CUDA
// provider for us, and CUDA_COMMAND of src/inference/session.ts replaces it. Whoever has chosen by
// ONNXRUNTIME_NODE_INSTALL, or by npm's option of the name, is left alone.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { root } from './steps.mjs'

/** The file and its folder in which onnxruntime-node looks for what it must download on this platform. */
const FILES = ['cuda', 'shared', 'tensorrt'].map((name) => `libonnxruntime_providers_${name}.so`)

const chosen = ['ONNXRUNTIME_NODE_INSTALL', 'ONNXRUNTIME_NODE_INSTALL_CUDA']
  .flatMap((name) => [name, `npm_config_${name.toLowerCase()}`])
  .some((name) => process.env[name])
// A clone says so in its own .npmrc.
const clone = existsSync(join(root, 'tsconfig.build.json'))
if (!clone && !chosen && process.platform === 'linux' && process.arch === 'x64') {
  try {
    const manifest = createRequire(join(root, 'package.json')).resolve('onnxruntime-node/package.json')
    const folder = join(dirname(manifest), 'bin', 'napi-v6', 'linux', 'x64')
    mkdirSync(folder, { recursive: true })
    for (const file of FILES) if (!existsSync(join(folder, file))) writeFileSync(join(folder, file), '')
  } catch (error) {
    console.error(`nodule: onnxruntime-node may now download CUDA libraries: ${error.message}`)
  }
}
