import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { addonStatus } from '../../src/kernels/addon.js'
import type { Addon } from '../../src/kernels/addon.js'
import { PREBUILT_PACKAGE, loadAddon } from '../../src/kernels/find_addon.js'
import { PACKAGE_ROOT } from '../../src/version.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-addon-'))
afterAll(() => rmSync(root, { recursive: true }))

/** A folder with the real addon, as a build or a prebuilt package has it. */
function folderWith(name: string, content: 'addon' | 'broken' | 'nothing'): string {
  const folder = join(root, name)
  mkdirSync(folder, { recursive: true })
  if (content === 'broken') writeFileSync(join(folder, 'nodule.node'), 'no library')
  if (content === 'addon') copyFileSync(addonStatus().path!, join(folder, 'nodule.node'))
  return folder
}

describe.skipIf(!addonStatus().available)('the choice of an addon', () => {
  const version = addonStatus().version!
  const code = loadAddon<Addon & { code: string }>('nodule.node', undefined).addon!.code
  const build = folderWith('build', 'addon')
  const prebuilt = folderWith('prebuilt', 'addon')
  const places = { folders: [build, prebuilt], version, code }

  it('takes the first that fits: a build made here, else the prebuilt one', () => {
    expect(code).toMatch(/^[0-9a-f]{16}$/)
    expect(loadAddon('nodule.node', undefined, places).path).toBe(join(build, 'nodule.node'))
    const nothing = folderWith('nothing', 'nothing')
    const found = loadAddon('nodule.node', undefined, { ...places, folders: [nothing, prebuilt] })
    expect(found).toMatchObject({ path: join(prebuilt, 'nodule.node') })
    expect(found.problem).toBeUndefined()
  })

  it('passes over a build that cannot be loaded, and names each reason where nothing fits', () => {
    const broken = folderWith('broken', 'broken')
    expect(loadAddon('nodule.node', undefined, { ...places, folders: [broken, prebuilt] }).path).toBe(
      join(prebuilt, 'nodule.node'),
    )
    const { addon, path, problem } = loadAddon('nodule.node', undefined, {
      ...places,
      folders: [broken, join(root, 'absent')],
    })
    expect({ addon, path }).toEqual({ addon: undefined, path: '' })
    expect(problem).toContain(`${join(broken, 'nodule.node')}: `)
    expect(problem).toContain(`${join(root, 'absent', 'nodule.node')}: no such file`)
  })

  it('never uses an addon of another version or of other sources', () => {
    expect(loadAddon('nodule.node', undefined, { ...places, version: '9.9.9' }).problem).toContain(
      `built for nodule ${version} (sources ${code}), but this is 9.9.9 (sources ${code})`,
    )
    const other = '0123456789abcdef'
    expect(loadAddon('nodule.node', join(build, 'nodule.node'), { ...places, code: other }).problem).toBe(
      `${join(build, 'nodule.node')}: built for nodule ${version} (sources ${code}), but this is ${version} (sources ${other})`,
    )
    // Where the sources are not known, the version decides.
    expect(loadAddon('nodule.node', undefined, { ...places, code: undefined }).problem).toBeUndefined()
  })

  it('obeys the environment variable', () => {
    expect(loadAddon('nodule.node', 'none', places)).toEqual({
      path: '',
      problem: 'nodule.node is switched off by its environment variable',
    })
    const path = join(root, 'elsewhere.node')
    expect(loadAddon('nodule.node', path, places).problem).toBe(`${path}: no such file`)
  })

  it('finds the package of the platform beside the installed package', () => {
    const installed = join(root, 'node_modules/@nodule-ct/nodule')
    for (const name of [
      'package.json',
      'src/clean.ts',
      'src/errors.ts',
      'src/version.ts',
      'src/kernels/find_addon.ts',
    ])
      cpSync(join(PACKAGE_ROOT, name), join(installed, name), { recursive: true })
    const platform = join(root, 'node_modules', PREBUILT_PACKAGE)
    mkdirSync(platform, { recursive: true })
    writeFileSync(join(platform, 'package.json'), JSON.stringify({ name: PREBUILT_PACKAGE, version }))
    copyFileSync(addonStatus().path!, join(platform, 'nodule.node'))
    const program = `import { BUILD_COMMAND, loadAddon } from ${JSON.stringify(join(installed, 'src/kernels/find_addon.ts'))}
      console.log(JSON.stringify([loadAddon('nodule.node').path, loadAddon('nodule_tensor.node').problem, BUILD_COMMAND]))`
    const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
    const flags = ['--import', tsx, '--input-type=module', '-e', program]
    const [path, problem, command] = JSON.parse(
      execFileSync(process.execPath, flags, { encoding: 'utf8' }),
    ) as string[]
    expect(path).toBe(join(platform, 'nodule.node'))
    expect(problem).toContain(`${join(platform, 'nodule_tensor.node')}: no such file`)
    expect(command).toBe('npx nodule engine install native')
  })
})
