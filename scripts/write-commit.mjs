// Leaves the commit that dist/ was built from in dist/commit, for src/version.ts; "-dirty" where a file that the package
// is made of differs from it. Without git or a checkout there is no such file, and the version tells no commit.
// And the sources of the addon that dist/ fits, in dist/native-code.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { nativeCode } from './native-code.mjs'
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

const at = (name) => join(root, 'dist', name)
mkdirSync(at(''), { recursive: true })
writeFileSync(at('native-code'), `${nativeCode()}\n`)
const commit = currentCommit()
if (commit === undefined) rmSync(at('commit'), { force: true })
else writeFileSync(at('commit'), `${commit}\n`)
