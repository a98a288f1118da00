// Builds the addon with the address and undefined-behaviour sanitizers and runs the parity tests and the fuzz on it.
import { execFileSync, spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

const build = spawnSync(
  process.execPath,
  [join(root, 'scripts', 'build-addon.mjs'), '--sanitize', '--onednn', 'OFF'],
  {
    stdio: 'inherit',
  },
)
if (build.status !== 0) process.exit(build.status ?? 1)

/** Node itself is not built with the sanitizer, so its runtime has to be loaded first. */
const runtimes = ['libasan.so', 'libubsan.so', 'libstdc++.so.6'].map((name) =>
  execFileSync(process.env['CXX'] ?? 'c++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim(),
)
const test = spawnSync(
  process.execPath,
  [join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', 'test/kernels'],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      NODULE_ADDON: join(root, 'build-sanitize', 'Release', 'nodule.node'),
      LD_PRELOAD: runtimes.join(' '),
      // V8 frees nothing at exit; its JIT moves stacks in ways that leak checks misread.
      ASAN_OPTIONS: 'detect_leaks=0:halt_on_error=1:abort_on_error=0',
      UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
    },
  },
)
process.exit(test.status ?? 1)
