import { mkdtempSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findSeries } from '../../src/dicom/index.js'
import type { Series } from '../../src/dicom/index.js'
import type { FrameList } from '../../src/dataset/list.js'
import type { ScanReference } from '../../src/evaluation/index.js'
import type { SeriesDetections } from '../../src/inference/index.js'
import { writePng } from '../../src/formats/images.js'
import type { Picture } from '../../src/report/pictures.js'
import { ScanPictures } from '../../src/report/scan_pictures.js'
import { writeTinyScan } from '../inference/tiny_scan.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-scan-pictures-'))
const box = { x1: 10, y1: 10, x2: 20, y2: 20 }
const pictures: Picture[] = []
const kinds = { isWrong: () => false, isMissed: () => false }
let series: Series
let detection: SeriesDetections

beforeAll(async () => {
  const paths = await writeTinyScan(folder, { slices: 6 })
  series = (await findSeries([folder])).series[0]!
  // Its header was read, its pixels cannot be.
  truncateSync(paths[2]!, 3000)
  const uids = series.slices.map(({ sopInstanceUid }) => sopInstanceUid).filter((_, k) => k !== 2)
  const slices = uids.map((sopInstanceUid, k) => ({
    ...{ k, sopInstanceUid, z: 0 },
    boxes: k === 3 ? [{ ...box, score: 0.9, nodule: 1 }] : [],
  }))
  const { patientId, seriesInstanceUid, geometry } = series
  const slicePositions = geometry.slicePositions.filter((_, k) => k !== 2)
  detection = {
    ...{ patientId, seriesInstanceUid, slices },
    volume: { geometry: { ...geometry, slicePositions } },
  } as unknown as SeriesDetections
})

afterAll(() => {
  rmSync(folder, { recursive: true })
})

const source = (detections: SeriesDetections[]): ScanPictures => {
  const consensus = [{ id: 1, boxes: [{ k: 4, box }] }]
  const references = [{ series, consensus }] as unknown as ScanReference[]
  return new ScanPictures({ detections, references, maxPictures: 10 }, pictures, kinds)
}

test('detected slices are found in the series although an unreadable one was left out', async () => {
  const own = source([detection])
  const scan = own.scan(detection)
  expect([0, 1, 2, 3, 4].map((k) => scan.sliceOf(k))).toEqual([0, 1, 3, 4, 5])
  const view = await own.view(scan, [scan.sliceOf(3)], scan.sliceOf(3), box, 'a')
  // The readers' box lies on the same slice, and the picture is that slice's.
  expect(view!.boxes.map(({ kind }) => kind)).toEqual(['truth', 'hit'])
  expect(view!.caption).toBe('a (slice 3)')
  // Slices of one file share their UID: then their places in the patient decide.
  const slices = detection.slices.map((slice) => ({ ...slice, sopInstanceUid: '' }))
  const placed = source([{ ...detection, slices }]).scan(detection)
  expect([0, 1, 2, 3, 4].map((k) => placed.sliceOf(k))).toEqual([0, 1, 3, 4, 5])
})

test('a picture that cannot be made is counted, and the nearest one shown', async () => {
  const own = source([detection])
  const scan = own.scan(detection)
  expect(await own.view(scan, [2], 2, box, 'b')).toBeUndefined()
  const view = await own.view(scan, [2, 3], 2, box, 'b')
  expect(view!.caption).toBe('b (slice 2)')
  expect(own.warnings()).toEqual([expect.stringMatching(/^1 picture cannot be shown, first: .*003\.dcm/)])
})

test('nodules that the limit leaves without a picture are counted', async () => {
  const own = new ScanPictures({ detections: [detection], series: [series], maxPictures: 1 }, [], kinds)
  const scan = own.scan(detection)
  const view = async (k: number): Promise<unknown> => own.view(scan, [k], k, box, 'd')
  expect(await view(0)).toBeDefined()
  expect(await view(1)).toBeUndefined()
  // There is no such slice, limit or not.
  expect(await view(99)).toBeUndefined()
  expect(own.warnings()).toEqual([
    '1 row of the tables of nodules without a picture: the page shows at most 1 slice of scans',
  ])
})

test('scans without detections have pictures too', async () => {
  const own = source([])
  const view = await own.view(own.scan(series), [4], 4, box, 'c')
  expect(view!.boxes.map(({ kind }) => kind)).toEqual(['truth'])
  expect(view!.caption).toBe('c (slice 4 of the scan, not examined)')
})

test('frames of a list are found by UID, by position where the slice was not examined or has another UID', async () => {
  const { patientId, seriesInstanceUid, geometry } = series
  const mapping = { originX: 0, originY: 0, scale: 1, frameWidth: 64, frameHeight: 64 }
  const entries = series.slices.map(({ sopInstanceUid }, k) => ({
    ...{ image_path: `k${k}.png`, rects: [] },
    nodule: {
      ...{ patientId, seriesInstanceUid, sopInstanceUid, k, mapping, nodules: [], excluded: [] },
      positionMm: geometry.slicePositions[k]!,
    },
  }))
  for (const [k, { image_path }] of entries.entries())
    await writePng(join(folder, image_path), {
      ...{ width: 64, height: 64 },
      data: new Uint8Array(64 * 64 * 3).fill(10 * k),
    })
  const frames: FrameList = { path: '', dir: folder, entries, warnings: [] }
  const slice = (k: number, uid: string): object => ({ k, sopInstanceUid: uid, z: 0, boxes: [] })
  const uidAt = (k: number): string => series.slices[k]!.sopInstanceUid
  const shown = async (slices: object[], k: number, patient = patientId): Promise<string | undefined> => {
    const one = { patientId: patient, seriesInstanceUid, slices, volume: { geometry } }
    const made: Picture[] = []
    const detections = [one as unknown as SeriesDetections]
    const own = new ScanPictures({ detections, frames, maxPictures: 10 }, made, kinds)
    const view = await own.view(own.scan(detections[0]!), [k], k, box, 'a')
    return view === undefined ? undefined : made[view.picture]!.src
  }
  const pictureOf = async (k: number): Promise<string | undefined> => shown([slice(k, uidAt(k))], k)
  const [third, fourth] = [await pictureOf(3), await pictureOf(4)]
  expect(third).not.toBe(fourth)
  // Slice 3 was unreadable: slice 4 moved up.
  expect(await shown([slice(2, uidAt(2)), slice(3, uidAt(4))], 3)).toBe(fourth)
  expect(await shown([slice(2, uidAt(2))], 4)).toBe(fourth)
  // A result of the volume file, whose made-up UIDs may be those of other slices.
  expect(await shown([slice(3, uidAt(2)), slice(4, 'made up')], 3, seriesInstanceUid)).toBe(third)
  expect(await shown([slice(2, uidAt(2)), slice(4, '1.9')], 4)).toBeUndefined()
})
