/** Further variants of the kinds of field_reports.test.ts and of the made-up bug reports: no file of theirs is here. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findSeries, readPixels, readSeriesPixels } from '../../src/dicom/index.js'
import type { Series } from '../../src/dicom/index.js'
import { loadVolume } from '../../src/volume/index.js'
import { dicomFile, numbers, sliceElements, sliceFile, text, uint16s } from './bytes.js'
import type { SliceOptions, TestElement } from './bytes.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-variants-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const grid = (count: number, step: number, start = 0): number[] =>
  Array.from({ length: count }, (_, n) => start + n * step)

function stack(name: string, heights: readonly number[], o: (n: number) => SliceOptions = () => ({})): void {
  for (const [n, z] of heights.entries())
    writeFileSync(
      join(folder, `${name}${n}.dcm`),
      sliceFile({ z, instance: n + 1, uid: `1.2.3.${name.length}.${n}`, ...o(n) }),
    )
}

async function only(): Promise<Series> {
  const { series, skipped } = await findSeries([folder])
  expect(skipped).toEqual([])
  expect(series).toHaveLength(1)
  return series[0]!
}

const heights = (series: Series): number[] => series.slices.map((slice) => slice.imagePosition[2])
const kinds = (series: Series): string[] => series.problems.map(({ kind }) => kind)
/** An element in the place of the one that slices have. */
const instead = (element: TestElement): SliceOptions => ({ without: [element.tag], extra: [element] })

describe('a tag that is there and cannot be read is no absent one', () => {
  const location = text('00201041', 'DS', '7.5')
  it.each<[string, SliceOptions, RegExp]>([
    [
      'Image Position beside Slice Location',
      { without: ['00200032'], extra: [text('00200032', 'DS', 'x\\y\\z'), location] },
      /\(0020,0032\): no place in the patient: expected 3 numbers of Image Position/,
    ],
    [
      'Image Orientation beside Slice Location',
      { without: ['00200032', '00200037'], extra: [text('00200037', 'DS', '1\\0\\0\\0\\one\\0'), location] },
      /\(0020,0037\): no place in the patient: expected 6 numbers of Image Orientation/,
    ],
    [
      'Number of Frames',
      { extra: [text('00280008', 'IS', 'two')] },
      /\(0028,0008\): cannot tell how many frames there are: expected a whole number but received two/,
    ],
    [
      'Pixel Representation',
      instead(numbers('00280103', 'US', 2)),
      /\(0028,0103\): cannot tell whether pixels have a sign: expected 0 \(unsigned\) or 1 \(signed\) but received 2/,
    ],
    [
      'Rescale Intercept with a unit',
      instead(text('00281052', 'DS', '-1024 HU')),
      /\(0028,1052\): no number in Rescale Intercept/,
    ],
    [
      'Rescale Slope that is empty',
      instead(text('00281053', 'DS', '')),
      /\(0028,1053\): no number in Rescale Slope/,
    ],
    [
      'Pixel Spacing of words',
      instead(text('00280030', 'DS', 'fine\\fine')),
      /\(0028,0030\): no place in the patient/,
    ],
  ])('%s', async (_, o, message) => {
    writeFileSync(join(folder, 'a.dcm'), sliceFile(o))
    const { series, skipped } = await findSeries([folder])
    expect(series).toEqual([])
    expect(skipped).toHaveLength(1)
    expect(skipped[0]!.reason).toMatch(message)
  })

  it('decimal commas in every number that matters', async () => {
    stack('a', grid(4, 2.5), (n) => ({
      without: ['00200032', '00280030', '00281052', '00281053', '00180050'],
      extra: [
        text('00200032', 'DS', `-10,5\\-20,25\\${String(2.5 * n).replace('.', ',')}`),
        text('00280030', 'DS', '0,7\\0,65'),
        text('00281052', 'DS', '-1000,5'),
        text('00281053', 'DS', '0,5'),
        text('00180050', 'DS', '2,5'),
      ],
    }))
    const series = await only()
    expect(series.geometry).toMatchObject({ origin: [-10.5, -20.25, 0], spacing: [2.5, 0.7, 0.65] })
    expect(series.thickness).toBe(2.5)
    expect(series.slices[0]).toMatchObject({ rescaleSlope: 0.5, rescaleIntercept: -1000.5 })
  })

  it('Slice Location stands in for a position that is empty', async () => {
    writeFileSync(
      join(folder, 'a.dcm'),
      sliceFile({ without: ['00200032'], extra: [text('00200032', 'DS', ''), location] }),
    )
    expect(kinds(await only())).toContain('no-position')
  })
})

describe('two reconstructions under one Series Instance UID', () => {
  it.each<[string, (n: number) => TestElement, RegExp]>([
    [
      'first values of Image Type',
      (n) => text('00080008', 'CS', n === 0 ? 'ORIGINAL\\PRIMARY\\AXIAL' : 'DERIVED\\SECONDARY\\AXIAL'),
      /by image type: 5 images with "ORIGINAL\\\\PRIMARY\\\\AXIAL" are kept/,
    ],
    [
      'fourth value of Image Type',
      (n) => text('00080008', 'CS', `ORIGINAL\\PRIMARY\\AXIAL${n === 0 ? '' : '\\CT_SOM5 SPI'}`),
      /by image type/,
    ],
    [
      'second value of the kernel',
      (n) => text('00181210', 'SH', `I30f\\${n + 2}`),
      /by kernel: 5 images with "I30f\\\\2" are kept, 4 with "I30f\\\\3" left out/,
    ],
    ['tube voltage', (n) => text('00180060', 'DS', n === 0 ? '80' : '140'), /by tube voltage: .*"80 kV"/],
    ['series number', (n) => text('00200011', 'IS', String(n + 3)), /by series number: .*"3"/],
    ['study', (n) => text('0020000d', 'UI', `1.2.${n + 3}`), /by study/],
    ['unit', (n) => text('00281054', 'LO', n === 0 ? 'HU' : 'MGML'), /by unit: 5 images with "HU" are kept/],
  ])('that differ in the %s: one is kept whole', async (_, element, message) => {
    stack('a', grid(5, 2), () => instead(element(0)))
    stack('bb', grid(4, 2, 1), () => instead(element(1)))
    const series = await only()
    expect(heights(series)).toEqual(grid(5, 2))
    expect(series.problems[0]).toMatchObject({
      kind: 'several-reconstructions',
      message: expect.stringMatching(message) as string,
    })
  })

  const sequence = (tag: string, ...items: TestElement[][]): TestElement => ({ tag, vr: 'SQ', items })
  it.each([
    ['kernel', (n: number) => sequence('00189314', [text('00181210', 'SH', n < 5 ? 'B30f' : 'B70f')])],
    ['kvp', (n: number) => sequence('00189325', [text('00180060', 'DS', n < 5 ? '80' : '140')])],
  ] as const)('in one enhanced image, whose frames say it: %s', async (key, element) => {
    // Shifted by half a distance, so that one volume would alternate; frames run downwards.
    const frames = [...grid(5, 2).reverse(), ...grid(4, 2, 1)]
    const elements = sliceElements({
      pixels: uint16s(frames.flatMap((_, n) => Array<number>(16).fill(n))),
      without: ['00200032'],
      extra: [
        text('00280008', 'IS', String(frames.length)),
        sequence(
          '52009230',
          ...frames.map((z, n) => [
            element(n),
            sequence('00209113', [text('00200032', 'DS', `-10\\-20\\${z}`)]),
          ]),
        ),
      ],
    })
    writeFileSync(join(folder, 'a.dcm'), dicomFile(elements))
    const series = await only()
    expect(heights(series)).toEqual(grid(5, 2))
    expect(series.slices.map((slice) => slice[key])).toEqual(Array(5).fill(key === 'kvp' ? 80 : 'B30f'))
    expect((await readSeriesPixels(series)).map((pixels) => pixels[0])).toEqual([4, 3, 2, 1, 0])
    expect(kinds(series)).toEqual(['several-reconstructions'])
  })

  it('a study for each slice is what somebody made of the UIDs: one volume', async () => {
    stack('a', grid(5, 2), (n) => instead(text('0020000d', 'UI', `1.2.${n}`)))
    expect((await only()).slices).toHaveLength(5)
  })
})

describe('what is no HU', () => {
  it.each(['MGML', 'Z_EFF'])('values in %s are no volume for detection', async (unit) => {
    stack('a', grid(4, 2), () => ({ extra: [text('00281054', 'LO', unit)] }))
    expect(await only()).toMatchObject({
      isVolume: false,
      problems: [{ kind: 'unreadable', message: `values are in ${unit} (Rescale Type), not HU` }],
    })
  })

  it.each(['HU', 'US', ''])('Rescale Type "%s" is a volume', async (unit) => {
    stack('a', grid(4, 2), () => ({ extra: [text('00281054', 'LO', unit)] }))
    expect(await only()).toMatchObject({ isVolume: true, problems: [] })
  })

  it('numbers of colors of a palette', async () => {
    stack('a', grid(4, 2), () => instead(text('00280004', 'CS', 'PALETTE COLOR')))
    const series = await only()
    expect(series).toMatchObject({
      isVolume: false,
      problems: [{ message: 'pixels are numbers of colors (PALETTE COLOR), not HU' }],
    })
    await expect(loadVolume(series)).rejects.toThrow(
      /\(0028,0004\): cannot use a color image: expected gray pixels but received PALETTE COLOR/,
    )
  })
})

describe('bits above Bits Stored', () => {
  it.each<[string, SliceOptions, number[], number[]]>([
    [
      'signed, sign not spread',
      { signed: true, bitsStored: 12 },
      [0x0fff, 0x0800, 0x07ff],
      [-1, -2048, 2047],
    ],
    [
      'signed, overlays in bits 12 to 15',
      { signed: true, bitsStored: 12 },
      [0xa001, 0x5fff, 0x1800],
      [1, -1, -2048],
    ],
    ['13 of 16 signed', { signed: true, bitsStored: 13 }, [0xf000, 0x2fff], [-4096, 4095]],
    ['unsigned, bit 15 only', { bitsStored: 15 }, [0x8001, 0x7fff], [1, 0x7fff]],
    ['padding of all bits', { bitsStored: 12, padding: 0xf830 }, [0xf830, 0xf831], [0xf830, 0x831]],
  ])('%s', async (_, o, stored, expected) => {
    const pixels = uint16s([...stored, ...Array<number>(16 - stored.length).fill(0)])
    writeFileSync(join(folder, 'a.dcm'), sliceFile({ ...o, pixels }))
    const values = await readPixels((await only()).slices[0]!)
    expect([...values].slice(0, expected.length)).toEqual(expected)
  })
})

describe('bytes of big-endian words', () => {
  it.each([
    [3, 3, 1],
    [3, 3, 3],
    [1, 5, 2],
  ])(
    '%i x %i pixels of 8 bits, %i frames: frames that begin inside of a word',
    async (rows, columns, frames) => {
      const values = Array.from({ length: rows * columns * frames }, (_, n) => n + 1)
      const padded = values.length % 2 === 0 ? values : [...values, 0]
      const swapped = padded.map((_, n) => padded[n ^ 1]!)
      const elements = sliceElements({
        ...{ rows, columns, bitsAllocated: 8, bigEndian: true, pixels: Uint8Array.from(swapped) },
        extra: [text('00280008', 'IS', String(frames))],
      }).map((element) => (element.tag === '7fe00010' ? { ...element, vr: 'OW' } : element)) as TestElement[]
      writeFileSync(join(folder, 'a.dcm'), dicomFile(elements, { transferSyntax: '1.2.840.10008.1.2.2' }))
      const { series } = await findSeries([folder])
      const read: number[] = []
      // All frames lie in one place: each is asked for by its number.
      for (let frame = 0; frame < frames; frame++)
        read.push(...(await readPixels({ ...series[0]!.slices[0]!, frame })))
      expect(read).toEqual(values)
    },
  )
})
