/** Builds both addons from the package's own sources: what npm could not do when it installed the package. */
import { dirname, join } from 'node:path'
import { NoduleError } from '../../errors.js'
import { readText } from '../../files.js'
import { parseJson } from '../../json.js'
import { loadAddon } from '../../kernels/find_addon.js'
import type { Places } from '../../kernels/find_addon.js'
import { PACKAGE_ROOT } from '../../version.js'
import { runProgram } from '../run_program.js'

export interface NativeOptions {
  /** CUDA kernels for all GPUs (minutes); by default those of the GPU here, where nvcc is on the PATH. */
  gpu?: boolean
  onLine?: ((line: string) => void) | undefined
}

const ADVICE = 'apt-get install g++ make cmake libdnnl-dev ocl-icd-opencl-dev'

/**
 * Runs scripts/build-addon.mjs, which needs cmake, make, a C++17 compiler and, for the native engine, oneDNN. Leaves the
 * addons in build/ of the package's folder, where they are looked for first.
 * @returns one line about what was built
 * @throws NoduleError UNAVAILABLE with the last lines of the build, or where it left no kernels that can be used
 */
export async function installNative(o: NativeOptions = {}): Promise<string> {
  const script = join(PACKAGE_ROOT, 'scripts', 'build-addon.mjs')
  const flags = [script, '--force', ...(o.gpu === true ? ['--cuda', 'ON'] : [])]
  await runProgram(process.execPath, flags, ADVICE, o.onLine)
  return builtParts()
}

/** What a build left: the kernels, and the engine or why it is not there. Throws NoduleError (UNAVAILABLE) without kernels. */
export function builtParts(places?: Places, noEngine = leftOut().onednn): string {
  const kernels = loadAddon('nodule.node', undefined, places)
  if (kernels.problem !== undefined)
    throw new NoduleError('UNAVAILABLE', 'the build left no nodule.node that can be used', {
      expected: ADVICE,
      actual: kernels.problem,
    })
  const folder = dirname(kernels.path)
  const { problem } = loadAddon('nodule_tensor.node', undefined, places)
  return problem === undefined
    ? `the native kernels and the native engine, in ${folder}`
    : `the native kernels, in ${folder}; without the native engine: ${noEngine ?? problem}`
}

/** What scripts/build-addon.mjs noted about the last build: what it left out, and why. */
export function leftOut(): { onednn?: string; cuda?: string } {
  const path = join(PACKAGE_ROOT, 'build', 'nodule.json')
  try {
    const record = parseJson(readText(path, 'read what was built'), path)
    return (record as { left?: { onednn?: string; cuda?: string } }).left ?? {}
  } catch {
    // Nothing was built here.
    return {}
  }
}
