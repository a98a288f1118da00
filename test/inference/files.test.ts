import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readMarksCsv, writeMarksCsv } from '../../src/formats/index.js'
import type { Mark } from '../../src/formats/index.js'
import { readDetections, writeDetections } from '../../src/inference/index.js'
import type { SeriesDetections } from '../../src/inference/index.js'
import { writeFileAtomic } from '../../src/files.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nodule-files-'))
})
afterAll(async () => rm(folder, { recursive: true }))

describe("LUNA16's CSV of marks", () => {
  test('is written as the challenge has it', async () => {
    const path = join(folder, 'a.csv')
    await writeMarksCsv(path, [{ seriesUid: '1.2.3', x: -10.5, y: 20, z: 1 / 3, probability: 0.75 }])
    expect(await readFile(path, 'utf8')).toBe(
      'seriesuid,coordX,coordY,coordZ,probability\n1.2.3,-10.5,20,0.333333333,0.75\n',
    )
    // A damaged UID stays in its cell, and is no formula of a spreadsheet.
    const damaged = ['1,2', '=1+2'].map((seriesUid) => ({ seriesUid, x: 0, y: 0, z: 0, probability: 0 }))
    await writeMarksCsv(path, damaged)
    const [, ...rows] = (await readFile(path, 'utf8')).split('\n')
    expect(rows).toEqual(['"1,2",0,0,0,0', "'=1+2,0,0,0,0", ''])
  })

  test('what is written is what the evaluation reads', async () => {
    const number = fc
      .double({ min: -500, max: 500, noNaN: true })
      .map((value) => Number(value.toPrecision(9)) + 0)
    const mark = fc.record({
      seriesUid: fc.stringMatching(/^1(\.[1-9][0-9]{0,5}){1,6}$/),
      ...{ x: number, y: number, z: number },
      probability: fc.double({ min: 0, max: 1, noNaN: true }).map((value) => Number(value.toPrecision(9))),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(mark, { maxLength: 20 }), async (marks: Omit<Mark, 'id'>[]) => {
        const path = join(folder, 'b.csv')
        await writeMarksCsv(path, marks)
        expect(
          readMarksCsv(path).map(({ seriesUid, x, y, z, probability }) => ({
            seriesUid,
            x,
            y,
            z,
            probability,
          })),
        ).toEqual(marks)
      }),
      { numRuns: 30 },
    )
  })
})

describe('the file of detections', () => {
  const detections = {
    format: 'nodule-detections/1',
    patientId: 'A "quoted" ä',
    studyInstanceUid: '1.2',
    seriesInstanceUid: '1.2.3',
    model: { path: 'm.onnx', sha256: 'ab', step: 3, codeVersion: '0', precision: 'float32' },
    versions: { nodule: '0', onnxruntime: '1', node: '20' },
    parameters: { minScore: 0.1 },
    slices: [
      {
        k: 4,
        sopInstanceUid: '1.9',
        z: -12.5,
        boxes: [{ x1: 1, y1: 2, x2: 1 / 3 + 3, y2: 5, score: 0.5, nodule: 1 }],
      },
      { k: 5, sopInstanceUid: '1.10', z: -10, boxes: [] },
    ],
    nodules: [
      {
        id: 1,
        center: [1, 2, 3],
        centerVoxel: [4, 5, 6],
        boxDiameterMm: 7.5,
        confidence: 0.5,
        slices: [4, 4],
        box: { x1: 1, y1: 2, x2: 4, y2: 5 },
      },
    ],
    warnings: [],
  } as unknown as SeriesDetections

  test('is read back as it was written', async () => {
    const path = join(folder, 'a.json')
    await writeDetections(path, detections)
    const back = await readDetections(path)
    expect(back.slices[0]!.boxes[0]!.x2).toBeCloseTo(10 / 3, 8)
    back.slices[0]!.boxes[0]!.x2 = 1 / 3 + 3
    expect(back).toEqual(detections)
  })

  test.each([
    ['{', 'not JSON'],
    ['[]', 'not a file of detections: expected object but received []'],
    ['{"format": "x"}', '/format: not a file of detections: expected nodule-detections/1 but received "x"'],
  ])('%s is refused', async (text, message) => {
    const path = join(folder, 'b.json')
    await writeFileAtomic(path, text)
    await expect(readDetections(path)).rejects.toMatchObject({
      code: 'FORMAT',
      message: expect.stringContaining(`${path}: ${message}`) as string,
    })
  })

  test('what may be absent may be null', async () => {
    const path = join(folder, 'nulls.json')
    const [slice] = detections.slices
    const nulls = { second: null, scan: null, device: null, timing: null, volume: { geometry: null } }
    const slices = [{ ...slice, z: null, boxes: [{ ...slice!.boxes[0], nodule: null }] }]
    await writeFileAtomic(path, JSON.stringify({ ...detections, ...nulls, slices }))
    const back = await readDetections(path)
    expect(JSON.stringify(back)).not.toContain('null')
    expect(back).toMatchObject({
      volume: {},
      slices: [{ k: slice!.k, boxes: [{ score: slice!.boxes[0]!.score }] }],
    })
  })

  test('a wrong value is named by its place', async () => {
    const path = join(folder, 'c.json')
    const wrong = async (change: (copy: SeriesDetections) => void): Promise<string> => {
      const copy = structuredClone(detections)
      change(copy)
      await writeFileAtomic(path, JSON.stringify(copy))
      return readDetections(path).then(
        () => 'read',
        (error: unknown) => (error as Error).message.replace(`${path}: `, ''),
      )
    }
    expect(await wrong(() => undefined)).toBe('read')
    expect(await wrong((copy) => (copy.slices[0]!.boxes[0]!.score = NaN))).toBe(
      '/slices/0/boxes/0/score: not a file of detections: expected finite number but received null',
    )
    const missing: [object, string][] = [
      [{ versions: undefined }, '/versions'],
      [{ versions: { nodule: 1 } }, '/versions/nodule'],
      [{ nodules: [{ ...detections.nodules[0]!, slices: [0, 1e9] }] }, '/nodules/0/slices/1'],
      [{ nodules: [{ ...detections.nodules[0]!, box: undefined }] }, '/nodules/0/box'],
      [{ nodules: [{ ...detections.nodules[0]!, confidence: '0.5' }] }, '/nodules/0/confidence'],
    ]
    for (const [change, place] of missing)
      expect(await wrong((copy) => Object.assign(copy, change))).toMatch(
        new RegExp(`^${place}: not a file of detections: expected `),
      )
    expect(await wrong((copy) => Object.assign(copy.nodules[0]!, { center: [1, 2] }))).toContain(
      '/nodules/0/center',
    )
    expect(await wrong((copy) => Object.assign(copy, { slices: {} }))).toContain('/slices')
    expect(await wrong((copy) => Object.assign(copy, { patientId: 7 }))).toContain('/patientId')
  })
})
