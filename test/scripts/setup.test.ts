import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { PACKAGE_ROOT } from '../../src/version.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-setup-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A package with these scripts alone. */
function packageOf(name: string, scripts: readonly string[]): string {
  const root = join(folder, name)
  mkdirSync(join(root, 'scripts'), { recursive: true })
  for (const script of scripts)
    copyFileSync(join(PACKAGE_ROOT, 'scripts', script), join(root, 'scripts', script))
  writeFileSync(join(root, 'package.json'), '{"type":"module"}')
  return root
}

describe.skipIf(process.platform !== 'linux')('npm run setup', () => {
  const root = packageOf('clone', ['setup.mjs', 'steps.mjs', 'system-packages.mjs'])
  writeFileSync(join(root, 'package-lock.json'), '{}')
  const bin = join(root, 'bin')
  mkdirSync(bin)
  const log = join(root, 'apt.log')
  const found = (name: string): string =>
    spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim()
  for (const name of ['sh', 'env', 'sleep']) symlinkSync(found(name), join(bin, name))
  const program = (name: string, text: string): void => {
    writeFileSync(join(bin, name), `#!${found('sh')}\n${text}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  program('true', 'exit 0')
  program('sudo', 'shift; exec "$@"')
  program('npm', 'exit 7')
  program('apt-get', `sleep 0.3; echo "$2" >> '${log}'; [ "$2" = install ]`)

  it('lets apt finish where npm fails, and installs where apt cannot update', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/setup.mjs')], {
      env: { PATH: bin },
      encoding: 'utf8',
    })
    expect(stderr).toContain('npm ci --no-audit --no-fund --loglevel=error ended with code 7')
    expect(readFileSync(log, 'utf8')).toBe('update\ninstall\n')
    expect(status).toBe(7)
    expect(existsSync(join(root, 'node_modules', '.nodule-lock'))).toBe(false)
  })
})

describe('the script of an installation', () => {
  it('finds prebuilt kernels below a folder of any name', () => {
    const root = packageOf('a#b?c%41', ['install.mjs', 'steps.mjs'])
    mkdirSync(join(root, 'dist/src/kernels'), { recursive: true })
    writeFileSync(
      join(root, 'dist/src/kernels/find_addon.js'),
      'export const loadAddon = () => ({ addon: {} })\n',
    )
    const { stdout } = spawnSync(process.execPath, [join(root, 'scripts/install.mjs')], { encoding: 'utf8' })
    expect(stdout).toBe('nodule: the native kernels are there, prebuilt\n')
  })
})
