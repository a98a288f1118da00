import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PACKAGE_ROOT, VERSION, versionText } from '../src/version.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-version-'))
const root = join(folder, 'checkout')
afterAll(() => rmSync(folder, { recursive: true }))

/** A small checkout with the real script and the real, compiled src/version.ts. */
beforeAll(() => {
  for (const name of ['src', 'native']) mkdirSync(join(root, name), { recursive: true })
  const scripts = ['write-commit', 'native-code', 'steps'].map((name) => `scripts/${name}.mjs`)
  for (const name of [...scripts, 'src/version.ts', 'package.json', 'CMakeLists.txt'])
    cpSync(join(PACKAGE_ROOT, name), join(root, name))
  writeFileSync(join(root, 'native/a.cpp'), 'int a;')
  writeFileSync(join(root, '.gitignore'), 'dist/\n')
  const tsc = join(PACKAGE_ROOT, 'node_modules/typescript/bin/tsc')
  const types = ['--typeRoots', join(PACKAGE_ROOT, 'node_modules/@types'), '--types', 'node']
  const flags = ['--ignoreConfig', '--module', 'nodenext', '--target', 'es2022', '--rootDir', root, ...types]
  execFileSync(process.execPath, [
    tsc,
    ...flags,
    '--outDir',
    join(root, 'dist'),
    join(root, 'src/version.ts'),
  ])
})

function git(...args: string[]): string {
  const who = ['-c', 'user.name=test', '-c', 'user.email=test@example.org', '-c', 'commit.gpgsign=false']
  return execFileSync('git', [...who, ...args], { cwd: root, encoding: 'utf8' }).trim()
}

/** What the compiled package says its version is, after the build's step. */
function builtVersion(): string {
  execFileSync(process.execPath, ['scripts/write-commit.mjs'], { cwd: root })
  const program = `import(${JSON.stringify(join(root, 'dist/src/version.js'))}).then((m) => console.log(m.VERSION))`
  return execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' }).trim()
}

describe('the code version', () => {
  const { version } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
    version: string
  }

  it('is the version of the package where TypeScript runs as it is', () => {
    expect(VERSION).toBe(version)
    expect(versionText('1.2.3', undefined)).toBe('1.2.3')
    expect(versionText('1.2.3', 'abcdef012345-dirty')).toBe('1.2.3+abcdef012345-dirty')
  })

  it('names the commit of the build, and whether its sources differed', () => {
    expect(builtVersion()).toBe(version)

    git('init', '-q')
    git('add', '.')
    git('commit', '-q', '-m', 'first')
    const first = git('rev-parse', '--short=12', 'HEAD')
    expect(builtVersion()).toBe(`${version}+${first}`)
    // Packed references, as a clone has them.
    git('pack-refs', '--all')
    expect(builtVersion()).toBe(`${version}+${first}`)

    // Results in the checkout are not its sources; a new source file is.
    writeFileSync(join(root, 'result.json'), '{}')
    expect(builtVersion()).toBe(`${version}+${first}`)
    writeFileSync(join(root, 'src/new.ts'), '')
    expect(builtVersion()).toBe(`${version}+${first}-dirty`)
    git('add', 'src')
    git('commit', '-q', '-m', 'second')
    expect(builtVersion()).toBe(`${version}+${git('rev-parse', '--short=12', 'HEAD')}`)
  })

  it('claims no commit of a repository around an unpacked package, and none that is no commit', () => {
    rmSync(join(root, '.git'), { recursive: true })
    execFileSync('git', ['init', '-q'], { cwd: folder })
    expect(builtVersion()).toBe(version)
    expect(existsSync(join(root, 'dist/commit'))).toBe(false)

    writeFileSync(join(root, 'dist/commit'), '<script>')
    const program = `import(${JSON.stringify(join(root, 'dist/src/version.js'))}).then((m) => console.log(m.VERSION))`
    expect(execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' }).trim()).toBe(version)
  })
})
