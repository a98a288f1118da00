import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  FIELD_ALIASES,
  NODULE_FIELDS,
  compileWhere,
  consensusNodules,
  indexAnnotations,
  lunaNodule,
  noduleFields,
  nodulesCsv,
  parseLidcXml,
  placeOnSeries,
  ratingMeaning,
  textureType,
} from '../../src/annotations/index.js'
import { annotateFolders, annotationJson, annotationTable, findXml } from '../../src/scans/index.js'
import { drawNodules } from '../../src/pictures/index.js'
import type { LidcReading, PlacedContour, SeriesFrame } from '../../src/annotations/index.js'
import { contourExtent, fillContours } from '../../src/annotations/mask.js'
import { surfaceArea } from '../../src/annotations/measures.js'
import type { VolumeGeometry } from '../../src/geometry/patient.js'
import type { Series } from '../../src/dicom/index.js'
import { sliceFile, uint16s } from '../dicom/bytes.js'
import { characteristics, message, nodule, nonNodule, roi, session, square } from './xml.js'

const SLICES = 10

function frame(): SeriesFrame {
  const heights = Array.from({ length: SLICES }, (_, k) => 2.5 * k)
  const geometry: VolumeGeometry = {
    origin: [0, 0, 0],
    rowDirection: [1, 0, 0],
    columnDirection: [0, 1, 0],
    sliceDirection: [0, 0, 1],
    spacing: [2.5, 0.5, 0.5],
    slicePositions: heights,
  }
  const slices = heights.map((z, k) => ({
    sopInstanceUid: `uid${k}`,
    imagePosition: [0, 0, z],
    rows: 64,
    columns: 64,
  }))
  return {
    seriesInstanceUid: '1.2.3.4',
    thickness: 2.5,
    geometry,
    slices: slices as unknown as SeriesFrame['slices'],
  }
}

const reading = (...sessions: string[]): LidcReading =>
  parseLidcXml(message(...sessions), 'a.xml') as LidcReading

const box = (id: string, x: number, y: number, size: number, ...ks: number[]): string =>
  nodule(id, characteristics(), ...ks.map((k) => roi(2.5 * k, square(x, y, size), 'TRUE', `uid${k}`)))

it('an agreement of 0 is what any reader holds, not the block around it', () => {
  const placed = placeOnSeries(
    reading(session(box('a', 10, 10, 4, 3)), session(box('b', 12, 10, 4, 3))),
    frame(),
  )
  const count = (agreement: number): number =>
    consensusNodules(placed, frame().geometry, { agreement })[0]!.mask.voxels.reduce((sum, v) => sum + v, 0)
  // Two squares of 4 x 4 that share 2 columns.
  expect([0, 0.5, 1].map(count)).toEqual([24, 24, 8])
})

describe('placeOnSeries', () => {
  it('goes by UID, then by z, and lists what finds no slice', () => {
    const rois = [
      roi(99, square(5, 5, 2), 'TRUE', 'uid3'),
      roi(10.1, square(5, 5, 2), 'TRUE', 'unknown'),
      roi(500, square(5, 5, 2), 'TRUE', 'unknown'),
      roi(0, square(63, 5, 2), 'TRUE', 'uid0'),
    ]
    const placed = placeOnSeries(
      reading(session(nodule('7', characteristics(), ...rois), nonNodule(5, 1, 1))),
      frame(),
    )
    expect(placed.nodules[0]!.contours.map((contour) => contour.k)).toEqual([3, 4])
    expect(placed).toMatchObject({ placedByUid: 1, placedByZ: 2, thickness: 2.5, sessions: 1 })
    expect(placed.nonNodules[0]!.k).toBe(2)
    expect(placed.unplaced.map((one) => one.reason)).toEqual([
      'no slice with this UID or near z 500 mm',
      'outside of the 64 x 64 image',
    ])
  })
})

describe('lines beside the image', () => {
  const place = (points: [number, number][]): unknown[] =>
    placeOnSeries(
      reading(session(nodule('7', characteristics(), roi(0, points, 'TRUE', 'uid0')))),
      frame(),
    ).unplaced.map(({ reason }) => reason)

  it('are placed where they go around pixels at the border, pixel by pixel', () => {
    expect(place(square(0, 0, 64))).toEqual([])
    expect(place(square(60, 61, 4))).toEqual(['outside of the 64 x 64 image'])
    // Edges of such a line would be filled in part.
    expect(place([[60, 10], [64, 10], [64, 20], [60, 20]])).toEqual(['outside of the 64 x 64 image']) // prettier-ignore
  })
})

describe('a SOP Instance UID of several slices', () => {
  it('names none of them: z decides', () => {
    const series = frame()
    const slices = series.slices.map((slice, k) => ({
      ...slice,
      sopInstanceUid: k === 1 || k === 4 ? 'twice' : `uid${k}`,
    }))
    const z = (k: number): number => slices[k]!.imagePosition[2]
    const rois = [1, 4].map((k) => roi(z(k), square(5, 5, 2), 'TRUE', 'twice'))
    const placed = placeOnSeries(reading(session(nodule('7', characteristics(), ...rois))), {
      ...series,
      slices,
    })
    expect(placed.nodules[0]!.contours.map((contour) => contour.k)).toEqual([1, 4])
    expect(placed).toMatchObject({ placedByUid: 0, placedByZ: 2 })
  })
})

describe('consensusNodules', () => {
  const find = (...sessions: string[]): ReturnType<typeof consensusNodules> => {
    const series = frame()
    return consensusNodules(placeOnSeries(reading(...sessions), series), series.geometry)
  }

  it('half of the readers decide', () => {
    const [one, ...others] = find(
      session(box('1', 10, 10, 4, 2, 3)),
      session(box('a', 10, 10, 4, 2, 3)),
      session(box('x', 12, 10, 4, 2)),
      session(),
    )
    expect(others).toEqual([])
    expect(one!).toMatchObject({ id: 1, readers: 3, malignancy: 4 })
    // Two of three readers outlined columns 10 to 13 on both slices; the third adds nothing that half of them hold.
    expect(one!.boxes).toEqual([
      { k: 2, box: { x1: 10, y1: 10, x2: 14, y2: 14 } },
      { k: 3, box: { x1: 10, y1: 10, x2: 14, y2: 14 } },
    ])
    expect(one!.maskVolumeMm3).toBeCloseTo(32 * 0.5 * 0.5 * 2.5, 9)
    expect(one!.ratings!.malignancy).toEqual({ mean: 4, median: 4 })
  })

  it('measures a box as pylidc defines it', () => {
    const [one] = find(session(box('1', 10, 10, 4, 2, 3)))
    // The line runs through the pixels around the 4 x 4 square: a square of side 5 from center to center.
    expect(one!.axialDiameterMm).toBeCloseTo(0.5 * Math.hypot(5, 5), 9)
    expect(one!.contourVolumeMm3).toBeCloseTo(25 * 0.25 * 2.5 * 2, 9)
    expect(one!.centroidVoxel).toEqual([2.5, 11.5, 11.5])
    expect(one!.centroid).toEqual([5.75, 5.75, 6.25])
  })

  it('calls each measure by one name in table, JSON, CSV and conditions', () => {
    const one = frame()
    const placed = placeOnSeries(reading(session(box('1', 10, 10, 4, 2, 3))), one)
    const annotated = {
      series: { ...one, patientId: 'P1', folder: 'f' } as unknown as Series,
      reading: reading(),
      placed,
      nodules: consensusNodules(placed, one.geometry),
    }
    // Of 4 x 4 x 2 voxels of 0.5 x 0.5 x 2.5 mm, and of the line around them, a square of side 5.
    const expected = {
      equivalentDiameter: Math.cbrt((6 * 20) / Math.PI),
      axialDiameter: 0.5 * Math.hypot(5, 5),
      maskVolume: 20,
      contourVolume: 31.25,
    }
    const fields = noduleFields(annotated, annotated.nodules[0]!)
    const [header, row] = nodulesCsv([annotated])
      .trim()
      .split('\n')
      .map((line) => line.split(','))
    const run = { annotated: [annotated], without: [], unused: 0, cxr: 0, notes: [], problems: [] }
    const { series } = annotationJson(run) as { series: { nodules: Record<string, number>[] }[] }
    for (const [name, value] of Object.entries(expected)) {
      expect(fields[name], name).toBeCloseTo(value, 9)
      expect(Number(row![header!.indexOf(name)]), name).toBeCloseTo(value, 6)
      expect(series[0]!.nodules[0]![`${name}${name.endsWith('Volume') ? 'Mm3' : 'Mm'}`]).toBeCloseTo(value, 9)
    }
    // The two short names stand for what the mask measures, never for the contours.
    const holds = (text: string): boolean => compileWhere(text, NODULE_FIELDS, FIELD_ALIASES)(fields)
    expect(holds('diameter == equivalentDiameter && diameter != axialDiameter')).toBe(true)
    expect(holds('volume == maskVolume && volume < contourVolume')).toBe(true)
    expect(header).not.toContain('diameter')
    expect(header).not.toContain('volume')
    expect(annotationTable(run)).toMatch(
      / equivalentDiameter +axialDiameter +maskVolume +malignancy\n.* 3\.4 mm +3\.5 mm +20 mm3 /,
    )
  })

  it('measures volumes where slices are missing and with a tilted gantry', () => {
    const measured = (change: Partial<VolumeGeometry>): [number, number] => {
      const series = frame()
      const geometry = { ...series.geometry, ...change }
      const [nodule] = consensusNodules(
        placeOnSeries(reading(session(box('1', 10, 10, 5, 2, 3))), { ...series, geometry }),
        geometry,
      )
      const luna = lunaNodule(nodule!, geometry)!.equivalentDiameterMm
      return [nodule!.maskVolumeMm3, (luna ** 3 * Math.PI) / 6]
    }
    // 5 x 5 pixels of 0.5 mm inside of the line, on two slices of 2.5 mm.
    const [mask, luna] = measured({})
    expect(mask).toBe(2 * 25 * 2.5 * 0.5 * 0.5)
    expect(luna).toBeCloseTo(mask, 9)
    const [sin, cos] = [Math.sin(0.4), Math.cos(0.4)]
    for (const value of measured({ columnDirection: [0, cos, -sin] }))
      expect(value).toBeCloseTo(mask * cos, 9)
    // Two slices are missing within the nodule.
    const slicePositions = frame().geometry.slicePositions.map((z, k) => (k < 3 ? z : z + 5))
    for (const value of measured({ slicePositions })) expect(value).toBeCloseTo(mask * 2, 9)
  })

  it('takes exclusions out, line included', () => {
    const rois = [roi(5, square(10, 10, 9), 'TRUE', 'uid2'), roi(5, square(13, 13, 3), 'FALSE', 'uid2')]
    const [one] = find(session(nodule('1', characteristics(), ...rois)))
    expect(one!.mask.voxels.reduce((sum, voxel) => sum + voxel, 0)).toBe(81 - 25)
    expect(one!.contourVolumeMm3).toBeCloseTo((100 - 16) * 0.25 * 2.5, 9)
  })

  it('separates what is far apart and sorts by height', () => {
    const nodules = find(
      session(box('1', 10, 10, 4, 7), box('2', 40, 40, 4, 1)),
      session(box('1', 40, 41, 4, 1)),
    )
    expect(nodules.map((one) => [one.id, one.readers, one.centroidVoxel[0]])).toEqual([
      [1, 2, 1],
      [2, 1, 7],
    ])
  })

  it('splits groups of more than four by shrinking the tolerance', () => {
    // Two nodules, two voxels apart, by four readers: within the first tolerance of 2.5 they are one group.
    const both = session(box('1', 10, 10, 4, 2), box('2', 17, 10, 4, 2))
    const nodules = find(both, both, both, both)
    expect(nodules.map((one) => one.readers)).toEqual([4, 4])
  })

  it('a reading without outlines has no nodules', () => {
    expect(find(session(), session())).toEqual([])
  })
})

describe('fillContours', () => {
  const contour = (points: [number, number][], inclusion = true): PlacedContour => ({
    sopInstanceUid: '',
    z: 0,
    k: 0,
    inclusion,
    points: points.map(([x, y]) => ({ x, y })),
  })

  it('any rectangle is filled inside its line only', () => {
    const size = fc.integer({ min: 1, max: 12 })
    fc.assert(
      fc.property(fc.nat(40), fc.nat(40), size, size, (x, y, width, height) => {
        const line = contour([
          [x, y],
          [x + width, y],
          [x + width, y + height],
          [x, y + height],
        ])
        const mask = fillContours([line], contourExtent([line]))
        expect(mask).toMatchObject({ j0: y, i0: x, shape: [1, height + 1, width + 1] })
        const count = mask.voxels.reduce((sum, voxel) => sum + voxel, 0)
        // A line without its corner pixels would hold its edges too, as matplotlib's test does on two sides.
        expect(count).toBeGreaterThanOrEqual((width - 1) * (height - 1))
        expect(count).toBeLessThanOrEqual((width + 1) * (height + 1))
      }),
      { seed: 1 },
    )
  })

  it('the surface of any block grows with the square of its scale', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 27, maxLength: 27 }), (cells) => {
        const mask = {
          k0: 0,
          j0: 0,
          i0: 0,
          shape: [3, 3, 3] as const,
          voxels: Uint8Array.from(cells, Number),
        }
        const area = surfaceArea(mask, [1, 1, 1])
        expect(area === 0).toBe(!cells.includes(true))
        expect(surfaceArea(mask, [3, 3, 3])).toBeCloseTo(9 * area, 6)
      }),
      { seed: 1 },
    )
    const one = { k0: 0, j0: 0, i0: 0, shape: [1, 1, 1] as const, voxels: Uint8Array.of(1) }
    // A single voxel is an octahedron.
    expect(surfaceArea(one, [1, 1, 1])).toBeCloseTo(Math.sqrt(3), 9)
  })
})

describe('annotateFolders', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'nodule-annotations-'))
    const pixels = uint16s(Array(64 * 64).fill(300))
    for (let k = 0; k < 4; k++) {
      const slice = sliceFile({ z: 2.5 * k, instance: k, uid: `uid${k}`, rows: 64, columns: 64, pixels })
      writeFileSync(join(folder, `${k}.dcm`), slice)
    }
    writeFileSync(
      join(folder, 'a.xml'),
      message(session(box('1', 10, 10, 6, 1, 2)), session(box('1', 10, 11, 6, 1, 2))),
    )
    writeFileSync(join(folder, 'other.xml'), '<html/>')
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it('brings slices and readings together', async () => {
    const run = await annotateFolders([folder])
    expect(run.annotated).toHaveLength(1)
    const other = join(folder, 'other.xml')
    expect(run.problems).toEqual([])
    expect(run.notes).toEqual([`1 XML file is no LIDC annotations, first ${other}`])
    // Named itself it is a mistake.
    const named = await annotateFolders([folder], { xml: [other] })
    expect(named.notes).toEqual([])
    expect(named.problems).toEqual([
      expect.stringContaining('expected LidcReadMessage or IdriReadMessage but received html'),
    ])
    expect(annotationTable(run)).toContain('4 of 4 ROIs placed on their slices (4 by UID, 0 by z)')
    const json = JSON.parse(JSON.stringify(annotationJson(run))) as {
      series: { nodules: { boxes: unknown[]; marks: { contours: { points: number[][] }[] }[] }[] }[]
    }
    expect(json.series[0]!.nodules[0]!.boxes[0]).toMatchObject({
      k: 1,
      sopInstanceUid: 'uid1',
      x1: 10,
      x2: 16,
    })
    expect(json.series[0]!.nodules[0]!.marks[1]!.contours[0]!.points[0]).toEqual([9, 10])
  })

  it('says what left no nodule', async () => {
    const table = async (o: { where?: string; minReaders?: number }): Promise<string> =>
      annotationTable(await annotateFolders([folder], o))
    expect(await table({ where: 'malignancy > 5' })).toContain('\n  none of 1 nodule meets the condition\n')
    expect(await table({ minReaders: 3 })).toContain('\n  none of 1 nodule has enough readers\n')
    expect(await table({ where: 'malignancy == 4' })).not.toContain('none of')
    await expect(annotateFolders([folder], { where: 'malignancy' })).rejects.toThrow('expected a condition')
    expect(await table({ where: "patient != 'nobody' && series == '1.2.3.4'" })).not.toContain('none of')
  })

  it('reads only the XML of the series that are there', async () => {
    const other = message(session()).replace('1.2.3.4', '9.9.9')
    writeFileSync(join(folder, 'z.xml'), other)
    const index = await indexAnnotations(await findXml([folder]), new Set(['1.2.3.4']))
    expect([...index.bySeries.keys()]).toEqual(['1.2.3.4'])
    expect(index).toMatchObject({ others: 1, repeated: 0, cxr: 0 })
    rmSync(join(folder, 'z.xml'))
  })

  it('draws each nodule with a color per reader', async () => {
    const run = await annotateFolders([folder])
    const paths = await drawNodules(run.annotated[0]!, join(folder, 'pictures', 'scan'))
    expect(paths).toEqual([join(folder, 'pictures', 'scan_nodule1.png')])
    const { data, info } = await sharp(paths[0]).raw().toBuffer({ resolveWithObject: true })
    expect(info.width).toBe(640)
    const colors = new Set<string>()
    for (let at = 0; at < data.length; at += info.channels)
      colors.add(data.subarray(at, at + 3).toString('hex'))
    // orange and sky blue: readers 1 and 2
    expect(colors.has('e69f00')).toBe(true)
    expect(colors.has('56b4e9')).toBe(true)
  })
})

it('the type of a nodule is the rounded texture in words, everywhere', () => {
  const types = [1, 2, 2.49, 2.5, 3, 3.49, 3.5, 4, 5].map(textureType)
  expect(types).toEqual([
    ...['ground glass', 'ground glass', 'ground glass', 'part-solid', 'part-solid', 'part-solid'],
    ...['solid', 'solid', 'solid'],
  ])
  expect([2.49, 3.49, 3.5].map((mean) => ratingMeaning('texture', mean))).toEqual([
    'Non-Solid/Mixed',
    'Part Solid/Mixed',
    'Solid/Mixed',
  ])
})
