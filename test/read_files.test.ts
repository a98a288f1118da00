import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { findSeries } from '../src/dicom/index.js'
import { openRegular } from '../src/read_files.js'

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof fs>()
  return { ...real, opendir: vi.fn(real.opendir) }
})

const folder = mkdtempSync(join(tmpdir(), 'nodule-read-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('openRegular', () => {
  it('says of a folder that it is one', async () => {
    await expect(openRegular(folder)).rejects.toThrow(`${folder}: cannot read: is a folder`)
  })

  it('says why a folder could not be listed', async () => {
    const error = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' })
    vi.mocked(fs.opendir).mockRejectedValueOnce(error)
    await expect(openRegular(folder)).rejects.toThrow(`${folder}: cannot read: permission denied`)
  })

  // The super-user may read everything.
  it.skipIf(process.getuid?.() === 0)('so does a search for series', async () => {
    const locked = join(folder, 'locked')
    mkdirSync(locked, { mode: 0 })
    try {
      const { skipped } = await findSeries([folder])
      expect(skipped).toEqual([{ path: locked, kind: 'damaged', reason: 'cannot read: permission denied' }])
    } finally {
      chmodSync(locked, 0o755)
    }
  })
})
