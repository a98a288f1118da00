import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { builtParts } from '../../../src/engine/onednn/install.js'
import { addonStatus } from '../../../src/kernels/addon.js'
import { NATIVE_CODE, PACKAGE_VERSION } from '../../../src/version.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-install-'))
afterAll(() => rmSync(folder, { recursive: true }))
const places = { folders: [folder], version: PACKAGE_VERSION, code: NATIVE_CODE }

describe('what a build left', () => {
  it('without the kernels is a failure', () => {
    expect(() => builtParts(places)).toThrow(
      expect.objectContaining({
        name: 'NoduleError',
        code: 'UNAVAILABLE',
        summary: 'the build left no nodule.node that can be used',
        actual: `${join(folder, 'nodule.node')}: no such file`,
      }),
    )
  })

  it.skipIf(!addonStatus().available)('without oneDNN is told, and is none', () => {
    copyFileSync(addonStatus().path!, join(folder, 'nodule.node'))
    expect(builtParts(places, 'oneDNN was not found')).toBe(
      `the native kernels, in ${folder}; without the native engine: oneDNN was not found`,
    )
    expect(builtParts(places)).toContain(`; without the native engine: `)
  })
})
