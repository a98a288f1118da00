import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { evaluateFiles, writeOfficialFiles } from '../../src/evaluation/index.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-official-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('runs whose names have no letters that a path takes get a folder each', async () => {
  const truth = join(folder, 'nodules.csv')
  writeFileSync(truth, 'seriesuid,coordX,coordY,coordZ,diameter_mm\n1.1,0,0,0,10\n')
  mkdirSync(join(folder, 'runs'))
  const predictions = ['\u80ba.csv', '\u80f8.csv'].map((name, n) => {
    const path = join(folder, 'runs', name)
    writeFileSync(path, `seriesuid,coordX,coordY,coordZ,probability\n1.1,${100 * n},0,0,0.9\n`)
    return path
  })
  const { results } = await evaluateFiles({ truth, predictions, bootstraps: 0 })
  const output = join(folder, 'official')
  if ('scans' in results) await writeOfficialFiles(output, results.scans)
  expect(readdirSync(output).sort()).toEqual(['-.csv', '-.csv-2'])
  const found = ['-.csv', '-.csv-2'].map((name) =>
    readFileSync(join(output, name, 'CADAnalysis.txt'), 'utf8'),
  )
  expect(found.map((text) => /True positives: (\d)/.exec(text)?.[1])).toEqual(['1', '0'])
})
