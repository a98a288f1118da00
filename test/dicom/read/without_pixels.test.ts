import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findSeries } from '../../../src/dicom/index.js'
import { dataSet, dicomFile, sliceFile, text } from '../bytes.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-pixels-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function put(name: string, bytes: Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

const SR = '1.2.840.10008.5.1.4.1.1.88.67'

describe('files without Pixel Data', () => {
  it('a slice that is cut off anywhere in its header is damaged', async () => {
    const whole = sliceFile()
    const sopClass = whole.indexOf('1.2.840.10008.5.1.4.1.1.2') + 26
    const pixels = whole.length - 32 - 12
    const paths = Array.from({ length: pixels - sopClass + 1 }, (_, n) =>
      put(`${n}.dcm`, whole.subarray(0, sopClass + n)),
    )
    const { skipped } = await findSeries(paths)
    expect(skipped.filter(({ kind }) => kind !== 'damaged')).toEqual([])
    expect(skipped).toHaveLength(paths.length)
  })

  it('objects that have no pixels are not damaged', async () => {
    const media = (name: string): Buffer => {
      const meta = dataSet([text('00020002', 'UI', name), text('00020010', 'UI', '1.2.840.10008.1.2.1')])
      const preamble = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM')])
      return Buffer.concat([preamble, meta, dataSet([text('00041130', 'CS', 'DISC')])])
    }
    put('DICOMDIR', media('1.2.840.10008.1.3.10'))
    // What is cut off behind the meta information of a CT image is no directory.
    put('start', media('1.2.840.10008.5.1.4.1.1.2'))
    const classes = ['481.3', '481.5', '481.2', '11.1', '66', '104.1', '88.67']
    for (const name of classes)
      put(name, dicomFile([text('00080016', 'UI', `1.2.840.10008.5.1.4.1.1.${name}`)]))
    const spectrum = { tag: '56000020', vr: 'OF', bytes: Buffer.alloc(8) }
    put('spectra', sliceFile({ without: ['7fe00010'], extra: [spectrum] }))
    put(
      'padded',
      dicomFile(
        [text('00080016', 'UI', SR)],
        {},
        Buffer.concat([dataSet([text('00080016', 'UI', SR)]), Buffer.alloc(3)]),
      ),
    )
    put('line-end', Buffer.concat([dicomFile([text('00080016', 'UI', SR)]), Buffer.from('\r\n')]))
    const { skipped } = await findSeries([folder])
    expect(skipped).toHaveLength(classes.length + 5)
    expect(skipped.filter(({ kind }) => kind !== 'not-a-slice').map(({ path }) => path)).toEqual([
      join(folder, 'start'),
    ])
  })
})
