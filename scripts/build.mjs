// npm run build: TypeScript to dist/, without what an earlier build left of sources that are gone.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { root, run } from './steps.mjs'

const dist = join(root, 'dist')
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
const result = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--listEmittedFiles'], {
  cwd: root,
  encoding: 'utf8',
})
const lines = `${result.stdout}${result.stderr}`.split('\n')
const written = new Set(
  lines.flatMap((line) => /^TSFILE: (.+)$/.exec(line)?.[1] ?? []).map((path) => resolve(root, path)),
)
for (const line of lines) if (line !== '' && !line.startsWith('TSFILE: ')) console.error(line)
if (result.status !== 0) process.exit(result.status ?? 1)
if (written.size === 0) throw new Error('tsc lists no file that it wrote')
// The report's page embeds these as they stand.
const script = join('src', 'report', 'script')
const scripts = existsSync(join(root, script)) ? readdirSync(join(root, script)) : []
for (const name of scripts.filter((one) => one.endsWith('.js'))) {
  cpSync(join(root, script, name), join(dist, script, name))
  written.add(join(dist, script, name))
}
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath ?? entry.path, entry.name)
  if (!entry.isFile() || !/[\\/]/.test(relative(dist, path)) || written.has(path)) continue
  rmSync(path)
  console.log(`removed ${relative(root, path)}: its source is gone`)
}
run(process.execPath, ['scripts/write-commit.mjs'])
