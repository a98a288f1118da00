import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { evaluateFiles } from '../../../src/evaluation/index.js'
import { readList } from '../../../src/dataset/index.js'
import { framesOfScans, sliceConfidence } from '../../../src/evaluation/slices/from_scans.js'
import type { SeriesDetections } from '../../../src/inference/index.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-from-scans-'))
const write = (name: string, content: unknown): string => {
  const path = join(folder, name)
  writeFileSync(path, JSON.stringify(content))
  return path
}

/** Frame pixels are half of image pixels, from image pixel (100, 40). */
const mapping = { originX: 100, originY: 40, scale: 0.5, frameWidth: 64, frameHeight: 48 }
const frame = (k: number, rects: object[], series = '1.5'): object => ({
  image_path: `frames/k${k}-${series}.png`,
  rects,
  nodule: {
    ...{ patientId: 'P', seriesInstanceUid: series, sopInstanceUid: `1.5.${k}`, k, positionMm: k, mapping },
    ...{ encoding: 'gray8', channels: 3, origin: 'phantom', nodules: rects.map(() => '1'), excluded: [] },
  },
})
const box = (x1: number, side: number, score: number, nodule?: number): object => ({
  ...{ x1, y1: 60, x2: x1 + side, y2: 60 + side, score },
  ...(nodule === undefined ? {} : { nodule }),
})
const nodule = (id: number, confidence: number): object => ({
  ...{ id, center: [0, 0, 0], centerVoxel: [1, 0, 0], diameterMm: 7, confidence, maxScore: 0.9 },
  ...{ slices: [1, 2], box: { x1: 0, y1: 0, x2: 1, y2: 1 } },
})
const scan = {
  ...{ format: 'nodule-detections/1', patientId: 'P', studyInstanceUid: '1', seriesInstanceUid: '1.5' },
  model: { path: 'a.onnx', sha256: 'a', step: 1, codeVersion: '1' },
  versions: { nodule: '1', onnxruntime: '1', node: '1' },
  parameters: {},
  slices: [
    { k: 1, sopInstanceUid: '1.5.1', z: 1, boxes: [box(120, 16, 0.8, 1), box(160, 10, 0.9, 2)] },
    { k: 2, sopInstanceUid: '1.5.2', z: 2, boxes: [box(122, 4, 0.8, 1), box(170, 8, 0.7)] },
  ],
  nodules: [nodule(1, 0.9), nodule(2, 0.1)],
  warnings: [],
}
const found = join(folder, 'found')
mkdirSync(found)
write('found/1.5.json', scan)
const truth = write('truth.json', [
  frame(1, [{ x1: 10, y1: 10, x2: 18, y2: 18 }]),
  frame(2, []),
  frame(3, []),
])

describe('boxes of scans as predictions of a list of frames', () => {
  test('lie where the frame has them and carry what both stages say', () => {
    const entries = framesOfScans(readList(truth), [scan as unknown as SeriesDetections])
    expect(entries.map(({ rects }) => rects.length)).toEqual([2, 1, 0])
    expect(entries[0]!.rects[0]).toEqual({ x1: 10, y1: 10, x2: 18, y2: 18, score: 0.8 * 0.9 })
    // A quarter of the nodule's longest side: half the confidence.
    expect(entries[1]!.rects[0]!.score).toBeCloseTo((0.8 * 0.9) / 2, 12)
  })

  test.each([undefined, null])('a frame whose mapping is %s is told by its place', async (none) => {
    const [first, ...others] = readList(truth).entries
    const bare = { ...first!, nodule: { ...first!.nodule, mapping: none } }
    const list = write('bare.json', [bare, ...others])
    await expect(evaluateFiles({ truth: list, predictions: [found], bootstraps: 0 })).rejects.toThrow(
      `${list}: /0/nodule/mapping: the list does not say which slices its images are: expected a list of nodule prepare`,
    )
  })

  test('a box of no listed nodule has no confidence', () => {
    const confidence = sliceConfidence(scan as unknown as SeriesDetections)
    expect(confidence({ x1: 0, y1: 0, x2: 4, y2: 4, score: 0.9 })).toBeUndefined()
    expect(confidence({ x1: 0, y1: 0, x2: 4, y2: 4, score: 0.9, nodule: 7 })).toBeUndefined()
  })

  test('evaluate takes a folder of detect for a list, and the second stage decides the order', async () => {
    const { json, warnings } = await evaluateFiles({ truth, predictions: [found], bootstraps: 0 })
    // The false mark scored higher in the first stage.
    expect(json).toMatchObject({ kind: 'slices', ap: 1, detections: 3 })
    expect(warnings).toEqual([expect.stringMatching(/^1 image is of a slice that .*k3-1\.5\.png$/) as string])
    expect(JSON.stringify(json)).not.toContain(folder)
  })

  test('slices are found by SOP Instance UID where detection left one out, by index where none is known', () => {
    const [first, second] = scan.slices
    const moved = (slices: object[]): SeriesDetections => ({ ...scan, slices }) as unknown as SeriesDetections
    const sides = (slices: object[], warnings: string[] = []): number[] =>
      framesOfScans(readList(truth), [moved(slices)], sliceConfidence, warnings).map(
        ({ rects }) => rects.length,
      )
    const warnings: string[] = []
    // Slice 1 was unreadable: 2 and 3 moved up.
    const third = { ...first!, sopInstanceUid: '1.5.3' }
    expect(
      sides(
        [
          { ...second!, k: 1 },
          { ...third, k: 2 },
        ],
        warnings,
      ),
    ).toEqual([0, 1, 2])
    expect(warnings).toEqual([expect.stringMatching(/^1 image is of a slice .*k1-1\.5\.png$/) as string])
    const { sopInstanceUid: _, ...bare } = first!
    expect(sides([bare, second!])).toEqual([2, 1, 0])
    // Slices of one file have one UID.
    const file = { sopInstanceUid: '1.5.2' }
    expect(
      sides([
        { ...first!, ...file },
        { ...second!, ...file },
      ]),
    ).toEqual([0, 1, 0])
  })

  test('slices are found by position where list and detections have no SOP Instance UID in common', () => {
    // As volume files are called, whose made-up UIDs may be those of other slices.
    const file = { ...scan, patientId: '1.5' }
    const at = (k: number, boxes: object[], uid = `1.5.${k + 1}`): object => ({
      k,
      sopInstanceUid: uid,
      z: 0,
      boxes,
    })
    const sides = (
      positions: number[],
      slices: object[],
      warnings: string[] = [],
      one: object = file,
    ): number[] => {
      const geometry = { slicePositions: positions, spacing: [1, 0.7, 0.7] }
      const detections = { ...one, slices, volume: { geometry } } as unknown as SeriesDetections
      return framesOfScans(readList(truth), [detections], sliceConfidence, warnings).map(
        ({ rects }) => rects.length,
      )
    }
    const [one, two] = [[box(120, 16, 0.8, 1)], [box(120, 16, 0.8, 1), box(160, 10, 0.9, 2)]]
    const warnings: string[] = []
    const slices = [at(1, one), at(2, two), at(3, [])]
    expect(sides([0, 1, 2, 3, 4], slices, warnings)).toEqual([1, 2, 0])
    expect(warnings).toEqual([
      expect.stringMatching(/^the slices of 1 scan are matched by position: .*first 1\.5$/) as string,
    ])
    // Half as far apart: slice 2 lies at 1 mm, slice 4 at 2 mm; 3 mm was not examined.
    const fine = [at(1, []), at(2, one), at(4, two)]
    expect(sides([0, 0.5, 1, 1.5, 2, 2.5, 3], fine, warnings)).toEqual([1, 2, 0])
    expect(warnings.at(-1)).toMatch(/^1 image is of a slice that the detections do not have .*k3-1\.5\.png$/)
    // Without its two lowest slices it is found in the patient, where the list says the place there.
    const placed = write(
      'placed.json',
      [1, 2, 3].map((k) => {
        const { nodule: of, ...rest } = frame(k, []) as { nodule: object }
        return { ...rest, nodule: { ...of, z: 100 + k } }
      }),
    )
    const short = (z: number): number[] => {
      const geometry = {
        ...{ slicePositions: [0, 1, 2], spacing: [1, 0.7, 0.7], origin: [0, 0, z] },
        sliceDirection: [0, 0, 1],
      }
      const detections = { ...file, slices: [at(0, one), at(1, two)], volume: { geometry } }
      const scans = [detections as unknown as SeriesDetections]
      return framesOfScans(readList(placed), scans).map(({ rects }) => rects.length)
    }
    expect(short(102)).toEqual([0, 1, 2])
    // Where the file's origin is another one, only the order of the slices is left.
    expect(short(0)).toEqual([2, 0, 0])
    // DICOM whose UIDs were changed.
    const changed = [at(1, one, '2.1'), at(2, two, '2.2')]
    expect(sides([0, 1, 2, 3], changed, [], scan)).toEqual([1, 2, 0])
  })

  test('two patients of one series UID have their own frames', () => {
    const other = { ...scan, patientId: 'Q', slices: [] } as unknown as SeriesDetections
    const own = scan as unknown as SeriesDetections
    const of = (scans: SeriesDetections[]): number[] =>
      framesOfScans(readList(truth), scans).map(({ rects }) => rects.length)
    expect(of([own, other])).toEqual([2, 1, 0])
    expect(of([other, own])).toEqual([2, 1, 0])
    // Alone it is the same patient under a new name: anonymizing may keep the UIDs.
    expect(of([{ ...own, patientId: 'ANON-7' }])).toEqual([2, 1, 0])
    // Volume files have no patient of their own.
    expect(of([{ ...own, patientId: '1.5' }])).toEqual([2, 1, 0])
  })

  test('series without detections follow --mismatch', async () => {
    const more = write('more.json', [frame(1, []), frame(4, [{ x1: 1, y1: 1, x2: 5, y2: 5 }], '1.6')])
    await expect(evaluateFiles({ truth: more, predictions: [found], bootstraps: 0 })).rejects.toThrow(
      /k4-1\.6\.png/,
    )
    const { json } = await evaluateFiles({
      truth: more,
      predictions: [found],
      bootstraps: 0,
      mismatch: 'miss',
    })
    expect(json).toMatchObject({ truthBoxes: 1, ap: 0 })
  })

  test('a list that does not say its slices is refused, with its place', async () => {
    const plain = write('plain.json', [{ image_path: 'a.png', rects: [] }])
    await expect(evaluateFiles({ truth: plain, predictions: [found] })).rejects.toMatchObject({
      code: 'FORMAT',
      message: expect.stringMatching(
        /plain\.json: \/0\/nodule: the list does not say.*expected a list/,
      ) as unknown,
    })
    await expect(evaluateFiles({ truth, predictions: [join(folder, 'none')] })).rejects.toMatchObject({
      code: 'FILE',
    })
  })
})
