/** Builds both addons from the package's own sources: what npm could not do when it installed the package. */
import { join } from 'node:path'
import { NoduleError } from '../../errors.js'
import { loadAddon } from '../../kernels/find_addon.js'
import { PACKAGE_ROOT } from '../../version.js'
import { runProgram } from '../run_program.js'

export interface NativeOptions {
  /** CUDA kernels for all GPUs (minutes); by default those of the GPU here, where nvcc is on the PATH. */
  gpu?: boolean
  onLine?: ((line: string) => void) | undefined
}

/**
 * Runs scripts/build-addon.mjs, which needs cmake, make, a C++17 compiler and, for the native engine, oneDNN. Leaves the
 * addons in build/ of the package's folder, where they are looked for first.
 * @returns one line about what was built
 * @throws NoduleError UNAVAILABLE with the last lines of the build
 */
export async function installNative(o: NativeOptions = {}): Promise<string> {
  const script = join(PACKAGE_ROOT, 'scripts', 'build-addon.mjs')
  const flags = [script, '--force', ...(o.gpu === true ? ['--cuda', 'ON'] : [])]
  const advice = 'apt-get install g++ make cmake libdnnl-dev ocl-icd-opencl-dev'
  await runProgram(process.execPath, flags, advice, o.onLine)
  for (const file of ['nodule.node', 'nodule_tensor.node']) {
    const { problem } = loadAddon(file, undefined)
    if (problem !== undefined)
      throw new NoduleError('UNAVAILABLE', `the build left no ${file} that can be used`, {
        expected: advice,
        actual: problem,
      })
  }
  return `the native kernels and the native engine, in ${join(PACKAGE_ROOT, 'build', 'Release')}`
}
