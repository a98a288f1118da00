// npm run check: types, lint, format, unused code, C++ format. Every check runs; the exit code tells whether all passed.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { capture, root, say } from './steps.mjs'

function sources(folder, pattern) {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => pattern.test(name))
    .map((name) => join(folder, name))
}

const clangFormat = ['clang-format', 'clang-format-14', 'clang-format-19'].find(
  (name) => capture(name, ['--version']) !== undefined,
)
const checks = [
  { name: 'types (tsc)', command: ['npx', 'tsc', '-p', 'tsconfig.json'] },
  {
    name: "types of the report's script (tsc)",
    command: ['npx', 'tsc', '-p', 'src/report/script/tsconfig.json'],
  },
  { name: 'lint (oxlint)', command: ['npx', 'oxlint', '--type-aware', '--deny-warnings'] },
  { name: 'format (prettier)', command: ['npx', 'prettier', '--check', '.', '--log-level', 'warn'] },
  { name: 'unused code (knip)', command: ['npx', 'knip'] },
  { name: "README's speeds", command: [process.execPath, 'scripts/speed-table.mjs', '--check'] },
  { name: 'code rules', command: [process.execPath, 'scripts/check-code.mjs'] },
  { name: 'room order', command: [process.execPath, 'scripts/check-rooms.mjs'] },
  { name: 'quiet libraries', command: [process.execPath, 'scripts/check-libraries.mjs'] },
  {
    name: 'C++ format (clang-format)',
    command: [clangFormat ?? 'clang-format', '--dry-run', '--Werror', ...sources('native', /\.(h|cpp|cu)$/)],
    hint: 'install it with: apt-get install clang-format',
  },
]

const failed = []
for (const { name, command, hint } of checks) {
  say(name)
  const [program, ...args] = command
  const result = spawnSync(program, args, { cwd: root, stdio: 'inherit' })
  if (result.status === 0) console.log('ok')
  else {
    if (result.error) console.error(`${result.error.message}${hint ? `; ${hint}` : ''}`)
    failed.push(name)
  }
}
if (failed.length > 0) {
  console.error(`\nfailed: ${failed.join(', ')}`)
  process.exit(1)
}
console.log('\nall checks passed')
