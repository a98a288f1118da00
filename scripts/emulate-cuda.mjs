// Builds the addon with its CUDA kernels compiled for the CPU (native/emulation) and runs the parity tests and the fuzz
// on it: what can be tested of them without a GPU.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { root, run } from './steps.mjs'

const out = 'build-emulated'
const folder = join(root, out, 'cuda')
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })

const launch = /(\w+)<<<(.*?),\s*(\w+),\s*0,\s*[\w.]+>>>\s*\((.*?)\);/gs
for (const name of readdirSync(join(root, 'native'), { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.cu')) continue
  const source = readFileSync(join(root, 'native', name), 'utf8')
  /** Whether the kernel's body, up to the next line that starts with a brace, has a barrier. */
  const waits = (kernel) => {
    const begin = source.search(new RegExp(`void ${kernel}\\(`))
    return source.slice(begin, source.indexOf('\n}', begin)).includes('__syncthreads')
  }
  const text = source.replace(
    launch,
    (_, kernel, grid, block, given) =>
      `emulation::Launch(${waits(kernel)}, ${grid}, ${block}, [&] { ${kernel}(${given}); });`,
  )
  if (text.includes('<<<')) throw new Error(`emulate-cuda: a launch in ${name} was not understood`)
  writeFileSync(join(folder, `${basename(name, '.cu')}.cpp`), text)
}

const build = ['--cuda', 'EMULATED', '--out', out, '--onednn', 'OFF', '--force']
run(process.execPath, [join(root, 'scripts', 'build-addon.mjs'), ...build])
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
const tests = ['run', 'test/kernels', '--testTimeout', '60000']
const env = { ...process.env, NODULE_ADDON: join(root, out, 'Release', 'nodule.node') }
run(process.execPath, [vitest, ...tests], { env })
