import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { annotateFolders, findXml } from '../../src/scans/index.js'
import {
  clusterMarks,
  indexAnnotations,
  measureMark,
  summarizeAnnotations,
} from '../../src/annotations/index.js'
import type { LidcReading, PlacedMark } from '../../src/annotations/index.js'
import { contourExtent, fillContours } from '../../src/annotations/mask.js'
import type { VolumeGeometry } from '../../src/geometry/patient.js'
import { realData } from '../real_data.js'

interface GoldenMask {
  k0: number
  j0: number
  i0: number
  shape: number[]
  sha256: string
}
interface GoldenScan {
  patientId: string
  nodules: {
    consensus: GoldenMask
    marks: {
      noduleId: string
      centroid: number[]
      diameter: number
      volume: number
      surface: number
      ratings: Record<string, number>
      mask: GoldenMask
    }[]
  }[]
}

const fixture = (name: string): Buffer =>
  readFileSync(new URL(`../fixtures/annotations/${name}`, import.meta.url))
const golden = JSON.parse(fixture('pylidc_scans.json').toString()) as GoldenScan[]
const sum = (voxels: Uint8Array): string => createHash('sha256').update(voxels).digest('hex')

describe.each(golden)('$patientId as in pylidc', (scan) => {
  const data = realData(scan.patientId.toLowerCase())
  it.skipIf(data === undefined)('nodules, masks and measures', async () => {
    const run = await annotateFolders([data!])
    const { nodules, placed } = run.annotated[0]!
    expect(placed.unplaced).toEqual([])
    expect(nodules).toHaveLength(scan.nodules.length)
    nodules.forEach((one, n) => {
      const expected = scan.nodules[n]!
      expect(maskOf(one.mask)).toEqual(withoutCount(expected.consensus))
      one.marks.forEach((mark, m) => {
        const pylidc = expected.marks[m]!
        const { centroidVoxel, ...measures } = one.markMeasures[m]!
        expect(mark.noduleId).toBe(pylidc.noduleId)
        expect(mark.ratings).toEqual(pylidc.ratings)
        expect(measures.axialDiameterMm).toBeCloseTo(pylidc.diameter, 9)
        expect(measures.contourVolumeMm3).toBeCloseTo(pylidc.volume, 6)
        expect(measures.surfaceMm2).toBeCloseTo(pylidc.surface, 6)
        centroidVoxel.forEach((value, axis) => expect(value).toBeCloseTo(pylidc.centroid[axis]!, 9))
        expect(maskOf(fillContours(mark.contours, contourExtent(mark.contours)))).toEqual(
          withoutCount(pylidc.mask),
        )
      })
    })
  })
})

function maskOf(mask: {
  k0: number
  j0: number
  i0: number
  shape: readonly number[]
  voxels: Uint8Array
}): unknown {
  const { voxels, ...rest } = mask
  return { ...rest, sha256: sum(voxels) }
}

function withoutCount(mask: GoldenMask): unknown {
  const { k0, j0, i0, shape, sha256 } = mask
  return { k0, j0, i0, shape, sha256 }
}

interface GoldenCluster {
  thickness: number
  pixel: number
  slices: [number, number][]
  /** marks, centroid [k, j, i], diameter, volume */
  nodules: [number, number[], number, number][]
}

const xml = realData('lidc-xml')
describe.skipIf(xml === undefined)('all 1,318 XML files', () => {
  let index: Awaited<ReturnType<typeof indexAnnotations>>
  let paths: string[]
  beforeAll(async () => {
    paths = await findXml([xml!])
    index = await indexAnnotations(paths)
  }, 600_000)

  it('have the known counts', async () => {
    const { summary } = await summarizeAnnotations(paths, index)
    expect(summary).toEqual({
      files: 1318,
      ct: 1035,
      cxr: 283,
      unreadable: 0,
      series: 1018,
      repeated: 17,
      marks: 41759,
      nodules: 20097,
      rated: 6860,
      unrated: 2,
      small: 13235,
      nonNodules: 21662,
      contours: 41436,
      exclusions: 992,
      sessions: { 3: 1, 4: 1016, 8: 1 },
      warnings: 56,
    })
  })

  it('cluster as in pylidc, with its measures', () => {
    const clusters = JSON.parse(gunzipSync(fixture('pylidc_clusters.json.gz')).toString()) as Record<
      string,
      GoldenCluster
    >
    const different: string[] = []
    for (const [uid, scan] of Object.entries(clusters)) {
      const ours = clusterScan(index.bySeries.get(uid)!, scan)
      if (!sameRows(ours, scan.nodules)) different.push(uid)
    }
    // 157/161.xml: one reader's outline over 23 slices is missing in pylidc's database.
    expect(different).toEqual(['1.3.6.1.4.1.14519.5.2.1.6279.6001.340202188094259402036602717327'])
  }, 300_000)
})

type Row = [number, number[], number, number]

/** Every golden nodule has its like among ours; the golden numbers are rounded. */
function sameRows(ours: readonly Row[], expected: readonly Row[]): boolean {
  const near = (a: number, b: number, tolerance: number): boolean => Math.abs(a - b) < tolerance
  const like = (a: Row, b: Row): boolean =>
    a[0] === b[0] &&
    a[1].every((value, axis) => near(value, b[1][axis]!, 0.001)) &&
    near(a[2], b[2], 0.001) &&
    near(a[3], b[3], 0.01)
  return ours.length === expected.length && expected.every((row) => ours.some((own) => like(own, row)))
}

function clusterScan(reading: LidcReading, scan: GoldenCluster): Row[] {
  const nearest = (z: number): number =>
    scan.slices.reduce((best, slice) => (Math.abs(slice[1] - z) < Math.abs(best[1] - z) ? slice : best))[0]
  const marks = reading.sessions.flatMap((session, index) =>
    session.nodules
      .filter((mark) => mark.ratings !== undefined)
      .map((mark): PlacedMark => ({
        ...mark,
        session: index,
        readerId: session.readerId,
        contours: mark.contours.map((contour) => ({ ...contour, k: nearest(contour.z) })),
      })),
  )
  const geometry = { spacing: [1, scan.pixel, scan.pixel] } as unknown as VolumeGeometry
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length
  return clusterMarks(marks, scan.thickness)
    .map((group): Row => {
      const measures = group.map((mark) => measureMark(mark, geometry, scan.thickness))
      const centroid = [0, 1, 2].map((axis) => mean(measures.map((one) => one.centroidVoxel[axis]!)))
      return [
        group.length,
        centroid,
        mean(measures.map((m) => m.axialDiameterMm)),
        mean(measures.map((m) => m.contourVolumeMm3)),
      ]
    })
    .sort((a, b) => a[1][0]! - b[1][0]!)
}
