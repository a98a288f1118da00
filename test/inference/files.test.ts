import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readLunaCsv, writeLunaCsv } from '../../src/inference/luna_csv.js'
import type { LunaMark } from '../../src/inference/luna_csv.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nodule-csv-'))
})
afterAll(async () => rm(folder, { recursive: true }))

describe("LUNA16's CSV of marks", () => {
  test('is written as the challenge has it', async () => {
    const path = join(folder, 'a.csv')
    await writeLunaCsv(path, [{ seriesInstanceUid: '1.2.3', center: [-10.5, 20, 1 / 3], probability: 0.75 }])
    expect(await readFile(path, 'utf8')).toBe(
      'seriesuid,coordX,coordY,coordZ,probability\n1.2.3,-10.5,20,0.333333333,0.75\n',
    )
  })

  test('what is written is read back', async () => {
    const number = fc
      .double({ min: -500, max: 500, noNaN: true })
      .map((value) => Number(value.toPrecision(9)) + 0)
    const mark = fc.record({
      seriesInstanceUid: fc.stringMatching(/^1(\.[1-9][0-9]{0,5}){1,6}$/),
      center: fc.tuple(number, number, number),
      probability: fc.double({ min: 0, max: 1, noNaN: true }).map((value) => Number(value.toPrecision(9))),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(mark, { maxLength: 20 }), async (marks: LunaMark[]) => {
        const path = join(folder, 'b.csv')
        await writeLunaCsv(path, marks)
        expect(await readLunaCsv(path)).toEqual(marks)
      }),
      { numRuns: 30 },
    )
  })

  test('columns in another order, CRLF, a BOM and empty lines are read', async () => {
    const path = join(folder, 'c.csv')
    await writeFile(path, '\uFEFFprobability,SeriesUID,coordZ,coordY,coordX,extra\r\n0.5,1.2,3,2,1,x\r\n\r\n')
    expect(await readLunaCsv(path)).toEqual([
      { seriesInstanceUid: '1.2', center: [1, 2, 3], probability: 0.5 },
    ])
  })

  test.each([
    [
      'seriesuid,coordX,coordY,coordZ\n',
      'line 1: no column probability: expected seriesuid,coordX,coordY,coordZ,probability',
    ],
    [
      'seriesuid,coordX,coordY,coordZ,probability\n1.2,3,x,5,0.5\n',
      'line 2: not a mark: expected number for coordY but received "x"',
    ],
    [
      'seriesuid,coordX,coordY,coordZ,probability\n1.2,3,4\n',
      'line 2: not a mark: expected number for coordZ but received ""',
    ],
    ['seriesuid,coordX,coordY,coordZ,probability\n,3,4,5,0.5\n', 'line 2: not a mark: expected series UID'],
    ['', 'line 1: no column seriesuid'],
  ])('%j is refused', async (text, message) => {
    const path = join(folder, 'd.csv')
    await writeFile(path, text)
    await expect(readLunaCsv(path)).rejects.toMatchObject({
      code: 'FORMAT',
      message: expect.stringContaining(`${path}: ${message}`) as string,
    })
  })
})
