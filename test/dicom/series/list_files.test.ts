import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { findSeries, listFiles } from '../../../src/dicom/index.js'
import { sliceFile } from '../bytes.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-list-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

it('takes a file that is named in several ways once', async () => {
  for (const n of [0, 1])
    writeFileSync(join(folder, `${n}.dcm`), sliceFile({ z: 2.5 * n, instance: n, uid: `uid${n}` }))
  const ways = [join(folder, '1.dcm'), `${folder}/./1.dcm`, relative('.', join(folder, '1.dcm')), folder]
  expect(await listFiles(ways)).toHaveLength(2)
  const { series } = await findSeries(ways)
  expect(series.map(({ slices, problems }) => [slices.length, problems])).toEqual([[2, []]])
})
