import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import {
  NODULE_FIELDS,
  compileWhere,
  jsonToXml,
  lunaCsv,
  lunaNodule,
  noduleFields,
  nodulesCsv,
  placeOnSeries,
  readLidcXml,
} from '../../src/annotations/index.js'
import { annotateFolders, annotationJson } from '../../src/scans/index.js'
import type { LidcReading } from '../../src/annotations/index.js'
import { boxesOf } from '../../src/annotations/consensus.js'
import { contourExtent, fillContours } from '../../src/annotations/mask.js'
import { writeLidcXml } from '../../src/annotations/writer.js'
import { NoduleError } from '../../src/errors.js'
import type { VolumeGeometry } from '../../src/geometry/patient.js'
import { command } from '../../src/commands/annotations.js'
import { realData } from '../real_data.js'

it('annotations --summary refuses what it does not make', async () => {
  const flags = { folders: ['nowhere'], xml: [], summary: true, warnings: false }
  for (const name of ['csv', 'luna', 'draw', 'where', 'min-readers'])
    await expect(command.handler({ ...flags, [name]: 'x' } as never)).rejects.toThrow(
      `--${name} is for nodules, which --summary does not build`,
    )
})

/** Nodules go by place in the JSON, by reader in the XML. */
function sorted(session: LidcReading['sessions'][number]): unknown {
  return { ...session, nodules: [...session.nodules].sort((a, b) => (a.noduleId < b.noduleId ? -1 : 1)) }
}

describe('compileWhere', () => {
  const fields = { malignancy: 4.5, readers: 3, diameter: 8, patient: 'P1', missing: undefined }
  const holds = (expression: string): boolean =>
    compileWhere(expression, Object.keys(fields), {}, ['patient'])(fields)

  it.each([
    ['malignancy >= 4 && readers >= 3 && diameter > 7', true],
    ['malignancy >= 4 && readers >= 3 && diameter > 8', false],
    ['diameter * 2 - 1 == 15', true],
    ['-diameter < 0 || readers > 100', true],
    ['!(readers == 3)', false],
    ["patient == 'P1'", true],
    ["patient != 'P1'", false],
    ['diameter % 3 == 2', true],
    ['missing < 1', false],
    ['missing >= 1', false],
    ['missing == missing', false],
    ["(patient == 'P1') == (readers > 2)", true],
  ])('%s is %s', (expression, expected) => {
    expect(holds(expression)).toBe(expected)
  })

  it.each([
    ['', /an expression|names, numbers/],
    ['readers >', /expected an expression but received/],
    ['size > 3', /expected one of malignancy, readers, .* but received size/],
    ['process.exit(1)', /received CallExpression/],
    ['readers.constructor', /received MemberExpression/],
    ['this', /ThisExpression/],
    ['[1, 2]', /ArrayExpression/],
    ['readers ? 1 : 2', /ConditionalExpression/],
    ['readers << 2', /but received <</],
    ['true', /but received true/],
    ['1'.repeat(2000), /at most 1000 characters/],
    ['__proto__ > 1', /but received __proto__/],
    ['malignancy', /expected a condition, such as readers >= 3 but received a number/],
    ['malignancy - 3', /expected a condition, .* but received a number/],
    ['patient', /expected a condition, .* but received a text/],
    ["malignancy >= '3'", /expected two numbers beside >= but received a number and a text/],
    ["patient > 'P1'", /expected two numbers beside > but received a text and a text/],
    ['patient == 1', /expected two like values beside == but received a text and a number/],
    ['readers >= 3 && malignancy', /expected two conditions beside && but received a condition and a number/],
    ['1 < readers < 5', /expected two numbers beside < but received a condition and a number/],
    ['!readers', /expected a condition behind ! but received a number/],
    ['-patient == 1', /expected a number behind - but received a text/],
  ])('refuses %s', (expression, message) => {
    expect(() => holds(expression)).toThrow(NoduleError)
    expect(() => holds(expression)).toThrow(message)
  })

  it('any text is a condition or a NoduleError', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), (text) => {
        try {
          expect(typeof holds(text)).toBe('boolean')
        } catch (error) {
          expect(error).toBeInstanceOf(NoduleError)
        }
      }),
      { seed: 1, numRuns: 500 },
    )
  })
})

describe('jsonToXml', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nodule-json-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const put = (value: unknown): string => {
    const path = join(folder, 'a.json')
    writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value))
    return path
  }

  const oneBox = (box: object, times = 1): unknown => ({
    ...{ format: 'nodule-detections/1', studyInstanceUid: '1.2', seriesInstanceUid: '1.2.3' },
    slices: [
      {
        sopInstanceUid: '1.2.3.4',
        z: 0,
        boxes: Array.from({ length: times }, () => ({ ...box, nodule: 1 })),
      },
    ],
    nodules: [{ id: 1 }],
  })

  it('looks at each box once, however many nodules there are', async () => {
    const ids = Array.from({ length: 3000 }, (_, id) => id)
    const boxes = ids.map((nodule) => ({ x1: 1, y1: 1, x2: 2, y2: 2, nodule }))
    const path = put({
      ...(oneBox({}, 0) as object),
      slices: [{ sopInstanceUid: '1.2.3.4', z: 0, boxes }],
      nodules: ids.map((id) => ({ id })),
    })
    const start = process.cpuUsage()
    const [xml] = await jsonToXml(path, folder)
    const { user, system } = process.cpuUsage(start)
    expect((user + system) / 1000).toBeLessThan(1000)
    expect(((await readLidcXml(xml!)) as LidcReading).sessions[0]!.nodules).toHaveLength(ids.length)
  })

  it('detections become one reading whose contours enclose the boxes', async () => {
    const boxes = [
      { x1: 10, y1: 20, x2: 14, y2: 25, score: 0.9, nodule: 1 },
      { x1: 50, y1: 50, x2: 52, y2: 52, score: 0.1 },
    ]
    const path = put({
      format: 'nodule-detections/1',
      studyInstanceUid: '1.2',
      seriesInstanceUid: '1.2.3',
      slices: [{ k: 0, sopInstanceUid: '1.2.3.4', z: -5, boxes }],
      nodules: [{ id: 1 }, { id: 2 }],
    })
    const [xml] = await jsonToXml(path, folder)
    const reading = (await readLidcXml(xml!)) as LidcReading
    expect(reading).toMatchObject({ seriesInstanceUid: '1.2.3', studyInstanceUid: '1.2' })
    expect(reading.sessions).toHaveLength(1)
    const [nodule, ...others] = reading.sessions[0]!.nodules
    expect(others).toEqual([])
    const contours = nodule!.contours.map((contour) => ({ ...contour, k: 0 }))
    expect(contours[0]).toMatchObject({ sopInstanceUid: '1.2.3.4', z: -5, inclusion: true })
    expect(boxesOf(fillContours(contours, contourExtent(contours)))).toEqual([
      { k: 0, box: { x1: 10, y1: 20, x2: 14, y2: 25 } },
    ])
  })

  it('boxes at every border of the image come back as they were', async () => {
    const boxes = [
      { x1: 0, y1: 0, x2: 4, y2: 5 },
      { x1: 60, y1: 40, x2: 64, y2: 48 },
      { x1: 20, y1: 45, x2: 30, y2: 48 },
      { x1: 0, y1: 0, x2: 64, y2: 48 },
      { x1: 63, y1: 0, x2: 64, y2: 1 },
    ]
    const slices = boxes.map((box, k) => ({
      sopInstanceUid: `1.2.${k}`,
      z: 50 * k,
      boxes: [{ ...box, score: 0.9, nodule: k }],
    }))
    const path = put({
      format: 'nodule-detections/1',
      studyInstanceUid: '1.2',
      seriesInstanceUid: '1.2.3',
      slices,
      nodules: slices.map((_, id) => ({ id })),
    })
    const [xml] = await jsonToXml(path, folder)
    const heights = slices.map(({ z }) => z)
    const geometry: VolumeGeometry = {
      origin: [0, 0, 0],
      rowDirection: [1, 0, 0],
      columnDirection: [0, 1, 0],
      sliceDirection: [0, 0, 1],
      spacing: [50, 0.5, 0.5],
      slicePositions: heights,
    }
    const placed = placeOnSeries((await readLidcXml(xml!)) as LidcReading, {
      seriesInstanceUid: '1.2.3',
      thickness: 1,
      geometry,
      slices: slices.map(({ sopInstanceUid, z }) => ({
        sopInstanceUid,
        imagePosition: [0, 0, z] as const,
        rows: 48,
        columns: 64,
      })),
    })
    expect(placed.unplaced).toEqual([])
    expect(
      placed.nodules.flatMap(({ contours }) => boxesOf(fillContours(contours, contourExtent(contours)))),
    ).toEqual(boxes.map((box, k) => ({ k, box })))
  })

  it('two series of one UID become two files, of one input or of several', async () => {
    const series = (readerId: string): unknown => ({
      studyInstanceUid: '1.2',
      seriesInstanceUid: '1.2.3',
      sessions: [{ readerId }],
      nodules: [],
      smallNodules: [],
      nonNodules: [],
    })
    const two = { format: 'nodule-annotations/2', series: [series('A'), series('B')] }
    const one = { format: 'nodule-annotations/2', series: [series('C')] }
    const taken = new Set<string>()
    const output = join(folder, 'unique')
    const paths = [
      ...(await jsonToXml(put(two), output, taken)),
      ...(await jsonToXml(put(one), output, taken)),
    ]
    expect(paths.map((path) => basename(path))).toEqual(['1.2.3.xml', '1.2.3-2.xml', '1.2.3-3.xml'])
    for (const [n, path] of paths.entries())
      expect(((await readLidcXml(path)) as LidcReading).sessions[0]!.readerId).toBe('ABC'[n])
  })

  it.each<[unknown, RegExp]>([
    ['{', /not JSON/],
    [[], /expected an object/],
    [{ format: 'x' }, /\/format: .*expected "nodule-annotations\/2" or/],
    [
      { format: 'nodule-annotations/1', series: [{}] },
      /\/series\/0\/sessions: .*a list but received undefined/,
    ],
    [{ format: 'nodule-detections/1', slices: [], nodules: [{}] }, /\/nodules\/0\/id: .*a number/],
    [
      oneBox({ x1: 0, y1: 0, x2: 1e8, y2: 1 }),
      /\/slices\/0\/boxes\/0\/x2: .*-1 to 65536 but received 100000000/,
    ],
    [oneBox({ x1: 0, y1: -2, x2: 1, y2: 1 }), /\/slices\/0\/boxes\/0\/y1: .*-1 to 65536 but received -2/],
    [
      oneBox({ x1: 0, y1: 0, x2: 65536, y2: 65536 }, 16),
      /\/boxes\/15: .*at most 4000000 pixels around all boxes/,
    ],
  ])('refuses %j', async (value, message) => {
    await expect(jsonToXml(put(value), folder)).rejects.toThrow(message)
  })
})

const folders = ['lidc-idri-0001', 'lidc-idri-0003'].map(realData)
describe.skipIf(folders.includes(undefined))('the two LIDC scans', () => {
  const run = (where?: string): ReturnType<typeof annotateFolders> =>
    annotateFolders(folders as string[], where === undefined ? {} : { where })

  it('LUNA16: centers within 0.001 mm, diameters within 0.002 mm of its annotations.csv', async () => {
    const rows = lunaCsv((await run()).annotated)
      .trim()
      .split('\n')
      .slice(1)
    const expected = [
      ['179049373636438705059720603192', 56.20840547, 86.34341278, -115.8675792, 23.35064438],
      ['170706757615202213033480003264', 72.28670656, 76.90023946, -190.4589276, 21.45372882],
      ['170706757615202213033480003264', 23.49083071, -47.63390567, -172.2791417, 8.785832848],
      ['170706757615202213033480003264', -47.40284557, -30.171209, -169.6239465, 12.82311988],
    ] as const
    expect(rows).toHaveLength(expected.length)
    rows.forEach((row, n) => {
      const [uid, ...numbers] = row.split(',')
      expect(uid!.endsWith(expected[n]![0])).toBe(true)
      numbers.forEach((value, c) => {
        expect(Math.abs(Number(value) - (expected[n]![c + 1] as number))).toBeLessThan(
          c === 3 ? 0.002 : 0.001,
        )
      })
    })
  })

  it('our own consensus lies within 1 mm of it', async () => {
    for (const { series, nodules } of (await run()).annotated) {
      for (const nodule of nodules.filter((one) => one.readers >= 3)) {
        const { center } = lunaNodule(nodule, series.geometry)!
        expect(Math.hypot(...center.map((value, axis) => value - nodule.centroid[axis]!))).toBeLessThan(1)
      }
    }
  })

  it('queries and CSV', async () => {
    const { annotated } = await run('malignancy >= 4 && readers >= 3 && equivalentDiameter > 8')
    // One nodule by mask, none of its other volumes: the contours of LIDC-IDRI-0001's hold 6,990 mm3, its mask 6,709.
    const counts = async (where: string): Promise<number[]> =>
      (await run(where)).annotated.map(({ nodules }) => nodules.length)
    expect(await counts('volume > 6800 && contourVolume < 7000')).toEqual([0, 0])
    expect(await counts('volume > 6700 && volume < 6800')).toEqual([1, 0])
    expect(
      await counts('diameter > 23 && diameter < 24 && axialDiameter > 32 && axialDiameter < 33'),
    ).toEqual([1, 0])
    expect(annotated.map(({ nodules }) => nodules.map((nodule) => nodule.id))).toEqual([[1], [2]])
    const [header, ...rows] = nodulesCsv(annotated).trim().split('\n')
    expect(header!.split(',')).toEqual(NODULE_FIELDS)
    expect(rows).toHaveLength(2)
    expect(rows[0]!.startsWith('LIDC-IDRI-0001,')).toBe(true)
    expect(Object.keys(noduleFields(annotated[0]!, annotated[0]!.nodules[0]!))).toEqual([...NODULE_FIELDS])
  })

  it('readings come back from the XML of our JSON', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nodule-json-'))
    try {
      const all = await run()
      writeFileSync(join(folder, 'a.json'), JSON.stringify(annotationJson(all)))
      const paths = await jsonToXml(join(folder, 'a.json'), folder)
      expect(paths).toHaveLength(2)
      for (const { reading } of all.annotated) {
        const path = paths.find((one) => one.includes(reading.seriesInstanceUid))!
        const again = (await readLidcXml(path)) as LidcReading
        expect(again.sessions.map((session) => sorted(session))).toEqual(
          reading.sessions.map((session) => sorted(session)),
        )
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('readings come back from the XML that we write', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nodule-xml-'))
    try {
      for (const { reading } of (await run()).annotated) {
        const path = join(folder, 'a.xml')
        await writeLidcXml(path, {
          studyInstanceUid: reading.studyInstanceUid,
          seriesInstanceUid: reading.seriesInstanceUid,
          sessions: reading.sessions.map((session) => ({
            ...session,
            nodules: session.nodules.map(({ noduleId, ratings, contours }) => ({
              id: noduleId,
              ratings: ratings!,
              contours: [...contours],
            })),
          })),
        })
        expect(readFileSync(path, 'utf8')).toContain('<LidcReadMessage')
        const again = (await readLidcXml(path)) as LidcReading
        expect(again.sessions).toEqual(reading.sessions)
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
