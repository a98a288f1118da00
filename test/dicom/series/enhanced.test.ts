import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findSeries, readPixels, readSeriesPixels, readSliceHeader } from '../../../src/dicom/index.js'
import { NoduleError } from '../../../src/errors.js'
import { dicomFile, numbers, sliceElements, sliceFile, text, uint16s } from '../bytes.js'
import type { TestElement } from '../bytes.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-enhanced-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const sequence = (tag: string, ...items: TestElement[][]): TestElement => ({ tag, vr: 'SQ', items })

/** An enhanced CT of 4 x 4 pixels: places per frame, spacing and orientation shared. */
function enhanced(heights: readonly number[]): Buffer {
  const perFrame = heights.map((z, n) => [
    sequence('00209113', [text('00200032', 'DS', `-10\\-20\\${z}`)]),
    sequence('00289145', [text('00281052', 'DS', String(-1000 - n)), text('00281053', 'DS', '2')]),
  ])
  const shared = [
    sequence('00209116', [text('00200037', 'DS', '1\\0\\0\\0\\1\\0')]),
    sequence('00289110', [text('00180050', 'DS', '3'), text('00280030', 'DS', '0.5\\0.5')]),
  ]
  const values = heights.flatMap((_, n) => Array<number>(16).fill(n + 1))
  return dicomFile(
    sliceElements({
      pixels: uint16s(values),
      without: ['00200032', '00200037', '00280030', '00180050', '00281052', '00281053'],
      extra: [
        text('00280008', 'IS', String(heights.length)),
        sequence('52009229', shared),
        sequence('52009230', ...perFrame),
      ],
    }),
  )
}

describe('enhanced CT', () => {
  it('each frame is a slice with its own place and rescale', async () => {
    writeFileSync(join(folder, 'a.dcm'), enhanced([6, 0, 3]))
    const [series] = (await findSeries([folder])).series
    expect(
      series!.slices.map((slice) => [slice.imagePosition[2], slice.frame, slice.rescaleIntercept]),
    ).toEqual([
      [0, 1, -1001],
      [3, 2, -1002],
      [6, 0, -1000],
    ])
    expect(series!).toMatchObject({ thickness: 3, isVolume: true, problems: [] })
    expect(series!.geometry.spacing).toEqual([3, 0.5, 0.5])
    expect((await readSeriesPixels(series!)).map((slice) => slice[0])).toEqual([2, 3, 1])
  })

  it('fewer frames in the pixel data than announced', async () => {
    const path = join(folder, 'a.dcm')
    const bytes = enhanced([0, 3])
    writeFileSync(path, bytes.subarray(0, bytes.length - 32))
    const [series] = (await findSeries([folder])).series
    await expect(readSeriesPixels(series!)).rejects.toThrow(/a\.dcm: \(7FE0,0010\): pixel data is too short/)
  })
})

describe('native frames that Pixel Data has no room for', () => {
  it.each([3, 4, 60_000])('are told, not left out: %i announced', async (frames) => {
    const path = join(folder, 'a.dcm')
    const extra = [text('00280008', 'IS', String(frames))]
    writeFileSync(path, sliceFile({ pixels: Buffer.alloc(32 * 3 - 2), extra }))
    const error = (await readSliceHeader(path).catch((e: unknown) => e)) as NoduleError
    expect(error).toBeInstanceOf(NoduleError)
    expect(error.code).toBe('FORMAT')
    expect(error.message).toBe(
      `${path}: (7FE0,0010): Pixel Data is too short for its frames: expected ${32 * frames} bytes for ${frames} frames but received 94`,
    )
    const { series, skipped } = await findSeries([folder])
    expect(series).toEqual([])
    expect(skipped).toMatchObject([{ path, kind: 'damaged' }])
  })
})

describe('Modality LUT', () => {
  const table = (descriptor: readonly number[], values: readonly number[]): TestElement =>
    sequence('00283000', [
      numbers('00283002', 'US', ...descriptor),
      { tag: '00283006', vr: 'US', bytes: uint16s(values) },
    ])
  const pixels = uint16s([0, 9, 10, 11, 12, 13, 60000, ...Array<number>(9).fill(10)])
  const slice = (lut: TestElement): Buffer =>
    sliceFile({ pixels, padding: 0, extra: [lut], without: ['00281052', '00281053'] })

  it('is applied to the stored values', async () => {
    const path = join(folder, 'a.dcm')
    writeFileSync(path, slice(table([3, 10, 16], [100, 200, 300])))
    const header = await readSliceHeader(path)
    expect(header).toMatchObject({ hasModalityLut: false, rescaleSlope: 1, rescaleIntercept: 0 })
    expect(header.padding).toBeUndefined()
    expect([...(await readPixels(header))].slice(0, 7)).toEqual([100, 100, 100, 200, 300, 300, 300])
  })

  it('one that is shorter than it says cannot be used', async () => {
    const path = join(folder, 'a.dcm')
    writeFileSync(path, slice(table([300, 10, 16], [100, 200, 300])))
    expect((await readSliceHeader(path)).hasModalityLut).toBe(true)
  })

  it('gives way to slope and intercept', async () => {
    const path = join(folder, 'a.dcm')
    writeFileSync(path, sliceFile({ pixels, extra: [table([3, 10, 16], [100, 200, 300])] }))
    expect(await readSliceHeader(path)).toMatchObject({ hasModalityLut: false, rescaleIntercept: -1024 })
    expect((await readPixels(await readSliceHeader(path)))[1]).toBe(9)
  })
})

describe('color images', () => {
  it('are refused', async () => {
    const path = join(folder, 'a.dcm')
    writeFileSync(
      path,
      sliceFile({ without: ['00280002'], extra: [numbers('00280002', 'US', 3)], pixels: new Uint8Array(96) }),
    )
    await expect(readSliceHeader(path).then(readPixels)).rejects.toThrow(
      /cannot use a color image: expected 1 sample/,
    )
  })
})
