// Leaves the commit that dist/ was built from in dist/commit, for src/version.ts; "-dirty" where a file that the package
// is made of differs from it. Without git or a checkout there is no such file, and the version tells no commit.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { capture, root } from './steps.mjs'

const SOURCES = [
  'src',
  'native',
  'hypes',
  'CMakeLists.txt',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
]

/** The commit checked out in the repository's own root (not in a repository around an unpacked package), or undefined. */
function currentCommit() {
  if (capture('git', ['rev-parse', '--show-cdup']) !== '') return undefined
  const commit = capture('git', ['rev-parse', '--verify', '--short=12', 'HEAD'])
  if (commit === undefined) return undefined
  const changes = capture('git', ['status', '--porcelain', '--', ...SOURCES])
  return changes === '' ? commit : `${commit}-dirty`
}

const commit = currentCommit()
const path = join(root, 'dist', 'commit')
if (commit === undefined) rmSync(path, { force: true })
else {
  mkdirSync(join(root, 'dist'), { recursive: true })
  writeFileSync(path, `${commit}\n`)
}
