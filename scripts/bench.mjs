// npm run bench -- [NAME...] [--json FILE] [--markdown FILE] [--seconds N]: benchmarks/run.ts, after building the addon.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const node = (...flags) => {
  const { status } = spawnSync(process.execPath, flags, { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
node(join(root, 'scripts', 'build-addon.mjs'))
node('--import', 'tsx', join(root, 'benchmarks', 'run.ts'), ...process.argv.slice(2))
