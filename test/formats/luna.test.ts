import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readFindingsCsv, readMarksCsv, readSeriesList, writeMarksCsv } from '../../src/formats/luna.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-luna-'))
const file = (name: string, content: string): string => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

test('columns by name, any order, extra columns, CRLF, byte order mark', async () => {
  const path = file(
    'm.csv',
    '\uFEFFprobability,SeriesUID,coordZ,coordY,coordX,extra\r\n0.5,1.2,3,2,1,x\r\n\r\n0.25,1.3,6,5,4,y',
  )
  expect(readMarksCsv(path)).toEqual([
    { seriesUid: '1.2', id: '0', x: 1, y: 2, z: 3, probability: 0.5 },
    { seriesUid: '1.3', id: '1', x: 4, y: 5, z: 6, probability: 0.25 },
  ])
  const again = join(folder, 'again.csv')
  await writeMarksCsv(again, readMarksCsv(path))
  expect(readMarksCsv(again)).toEqual(readMarksCsv(path))
})

test('names that spreadsheets would take for formulas come back as they were', async () => {
  const names = ['-scan', '=1+1', "'-scan", "''=a", "'quoted'", '@a, "b"', '+1', '-1.5e3', '\uff0d1']
  const path = join(folder, 'names.csv')
  await writeMarksCsv(
    path,
    names.map((seriesUid) => ({ seriesUid, x: 1, y: 2, z: 3, probability: 0.5 })),
  )
  expect(readFileSync(path, 'utf8')).not.toMatch(/^[=@]|^-s/m)
  expect(readMarksCsv(path).map(({ seriesUid }) => seriesUid)).toEqual(names)
  expect(readSeriesList(path)).toEqual(names)
})

test('cells in double quotes', () => {
  const rows = ['"seriesuid","coordX",coordY,coordZ,note,probability', '"1.2","1",2,3,"a, ""b""","0.5"']
  expect(readMarksCsv(file('quoted.csv', rows.join('\n')))).toEqual([
    { seriesUid: '1.2', id: '0', x: 1, y: 2, z: 3, probability: 0.5 },
  ])
})

test('what is wrong is named', () => {
  const bad = file('bad.csv', 'seriesuid,coordX,coordY,coordZ,probability\n1.2,1,2,nan,0.5\n')
  expect(() => readMarksCsv(bad)).toThrow(/bad\.csv: line 2, coordZ: wrong value: expected finite number/)
  const short = file('short.csv', 'seriesuid,coordX,coordY\n')
  expect(() => readFindingsCsv(short, false)).toThrow(/line 1: missing column.*diameter_mm/)
  expect(() => readMarksCsv(join(folder, 'none.csv'))).toThrow(/cannot read table: no such file/)
  expect(() => readSeriesList(file('empty.csv', '\n'))).toThrow(/empty/)
})

test('a header of the series list is no scan, except to the official script', () => {
  const path = file('list.csv', 'seriesuid\r\n1.2\r\n1.3\r\n')
  expect(readSeriesList(path)).toEqual(['1.2', '1.3'])
  expect(readSeriesList(path, true)).toEqual(['seriesuid', '1.2', '1.3'])
})

test('marks that no reader would take are not written', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'nodule-luna-'))
  const path = join(folder, 'marks.csv')
  const mark = { seriesUid: '1', x: 1, y: 2, z: 3, probability: 0.5 }
  await expect(writeMarksCsv(path, [mark, { ...mark, z: Number.NaN }])).rejects.toMatchObject({
    code: 'INVALID_PARAMETER',
    parameters: ['marks[1]'],
  })
  expect(existsSync(path)).toBe(false)
})
