import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { segmentedFindings } from '../../src/dataset/prepare/host.js'
import { findSeries } from '../../src/dicom/index.js'
import type { Series } from '../../src/dicom/index.js'
import { dicomFile, numbers, sliceFile, text } from '../dicom/bytes.js'
import type { TestElement } from '../dicom/bytes.js'

let folder: string
let series: Series
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-host-'))
  for (let n = 0; n < 4; n++) {
    const slice = { z: 2 * n, instance: n + 1, uid: `1.2.${n}`, rows: 8, columns: 8, spacing: '0.8\\0.8' }
    writeFileSync(join(folder, `${n}.dcm`), sliceFile(slice))
  }
  series = (await findSeries([folder])).series[0]!
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const sequence = (tag: string, ...items: TestElement[][]): TestElement => ({ tag, vr: 'SQ', items })
const position = (value: string): TestElement => sequence('00209113', [text('00200032', 'DS', value)])
const orientation = (value: string): TestElement => sequence('00209116', [text('00200037', 'DS', value)])
const spacing = (value: string): TestElement => sequence('00289110', [text('00280030', 'DS', value)])

/** A segmentation of one square frame whose pixels in the box [x1, y1, x2, y2] are set. */
function segmentation(
  side: number,
  [x1, y1, x2, y2]: readonly [number, number, number, number],
  { own = [], shared = [] }: { own?: TestElement[]; shared?: TestElement[] },
): string {
  const bytes = Buffer.alloc((side * side) / 8)
  for (let y = y1; y < y2; y++)
    for (let x = x1; x < x2; x++) bytes[(y * side + x) >> 3]! |= 1 << ((y * side + x) % 8)
  const path = join(folder, 'seg.dcm')
  writeFileSync(
    path,
    dicomFile([
      text('00080060', 'CS', 'SEG'),
      text('00280008', 'IS', '1'),
      numbers('00280010', 'US', side),
      numbers('00280011', 'US', side),
      numbers('00280100', 'US', 1),
      sequence('52009229', shared),
      sequence('52009230', own),
      { tag: '7fe00010', vr: 'OB', bytes },
    ]),
  )
  return path
}

const PLAIN = orientation('1\\0\\0\\0\\1\\0')
const TURNED = orientation('-1\\0\\0\\0\\-1\\0')
// The scan's pixel (0, 0) lies at -10, -20; its last one at -4.4, -14.4.
const FINE = position('-10.2\\-20.2\\4')

describe('boxes of segmentations', () => {
  const box = [2, 1, 5, 3] as const
  it.each<[string, () => string]>([
    ['of the same pixels', () => segmentation(8, box, { own: [position('-10\\-20\\4'), PLAIN] })],
    [
      'shared alone',
      () => segmentation(8, box, { shared: [position('-10\\-20\\4'), PLAIN, spacing('.8\\.8')] }),
    ],
    ['without orientation and spacing', () => segmentation(8, box, { own: [position('-10\\-20\\4')] })],
    ['turned', () => segmentation(8, [3, 5, 6, 7], { own: [position('-4.4\\-14.4\\4')], shared: [TURNED] })],
    [
      'with rows and columns exchanged',
      () =>
        segmentation(8, [1, 2, 3, 5], { own: [position('-10\\-20\\4'), orientation('0\\1\\0\\1\\0\\0')] }),
    ],
    [
      'of finer pixels',
      () => segmentation(16, [4, 2, 10, 6], { own: [FINE, PLAIN], shared: [spacing('0.4\\0.4')] }),
    ],
    [
      'of a smaller part',
      () =>
        segmentation(8, [0, 0, 6, 4], {
          own: [position('-8.6\\-19.4\\4'), spacing('0.4\\0.4')],
          shared: [PLAIN],
        }),
    ],
  ])('lie where the file says: %s', async (_, make) => {
    const findings = await segmentedFindings(series, [make()])
    expect(findings).toMatchObject([{ id: 'segmented', k: 2, accepted: false }])
    const { x1, y1, x2, y2 } = findings[0]!.box
    ;[x1, y1, x2, y2].forEach((value, n) => expect(value).toBeCloseTo(box[n]!, 6))
  })

  it.each([
    [
      'UNSUPPORTED',
      orientation('0\\1\\0\\0\\0\\-1'),
      'seg.dcm: (0020,0037): cannot use a segmentation of other planes than the slices: expected 1\\0\\0\\0\\1\\0 or in its plane but received 0\\1\\0\\0\\0\\-1',
    ],
    [
      'FORMAT',
      orientation('1\\0\\0'),
      'seg.dcm: (0020,0037): frame 1 has no orientation: expected two unit vectors',
    ],
    [
      'FORMAT',
      spacing('0\\1'),
      'seg.dcm: (0028,0030): frame 1 has no pixel size: expected 2 numbers of Pixel Spacing > 0',
    ],
  ])('are refused where they lie nowhere in the slices: %s, %#', async (code, element, message) => {
    const path = segmentation(8, box, { own: [position('-10\\-20\\4'), element] })
    await expect(segmentedFindings(series, [path])).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    })
  })
})
