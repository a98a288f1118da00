import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { noduleTable } from '../../src/report/nodule_tables.js'
import { writeReport } from '../../src/report/write_report.js'
import { writeTinyScan } from '../inference/tiny_scan.js'
import { makeRun } from './made_run.js'

const temporary = mkdtempSync(join(tmpdir(), 'nodule-write-report-'))
afterAll(() => rmSync(temporary, { recursive: true }))

describe('provenance', () => {
  test('names the second stage; the same model with another one, or none, is another model', async () => {
    const folder = join(temporary, 'second')
    await makeRun(folder)
    const first = JSON.parse(readFileSync(join(folder, 'detections', '1.2.3.json'), 'utf8')) as object
    const second = { path: '/home/a/second.onnx', sha256: 'b'.repeat(64), step: 70, codeVersion: '0.2.0' }
    writeFileSync(
      join(folder, 'detections', '1.2.4.json'),
      JSON.stringify({ ...first, seriesInstanceUid: '1.2.4', second }),
    )
    const output = join(temporary, 'second.html')
    const { figures } = await writeReport({ run: folder, output, bootstraps: 0 })
    expect((figures as { provenance: object }).provenance).toMatchObject({
      'Model SHA-256': 'f'.repeat(64),
      'Second stage': 'none',
      'Model SHA-256 2': 'f'.repeat(64),
      'Second stage 2': `second.onnx, step 70, trained by nodule 0.2.0, SHA-256 ${'b'.repeat(64)}`,
    })
    const html = readFileSync(output, 'utf8')
    expect(html).toMatch(/Second stage<\/th><td>none<[^]*Second stage<\/th><td>second\.onnx, step 70/)
  })
})

describe('scans', () => {
  test('that were examined and are not in the folders are counted', async () => {
    const run = join(temporary, 'scans run')
    await makeRun(run)
    const scans = join(temporary, 'other scans')
    await writeTinyScan(scans, { slices: 4 })
    const options = { detections: join(run, 'detections'), scans: [scans], bootstraps: 0 }
    const output = join(temporary, 'scans.html')
    const bare = await writeReport({ ...options, output })
    expect(bare.warnings).toContain(
      `1 of 1 examined scan is not in ${scans}: no pictures of them, not evaluated`,
    )
    expect(readFileSync(output, 'utf8')).toContain('1 of 1 examined scan is not in other scans: no pictures')
    const judged = await writeReport({ ...options, output, reference: join(run, 'reference.csv') })
    expect(judged.warnings).toContain(`1 of 1 examined scan is not in ${scans}: no pictures of them`)
  })
})

describe('detections', () => {
  test('are those of the folder itself, where it is what detect wrote', async () => {
    const run = join(temporary, 'detect run')
    await makeRun(run)
    const options = { run: join(run, 'detections'), output: join(temporary, 'found.html'), bootstraps: 0 }
    const { figures } = await writeReport(options)
    expect((figures as { provenance: object }).provenance).toMatchObject({ Detections: '1 scan' })
    expect((figures as { scans: { nodules: object[] } }).scans.nodules).toHaveLength(3)
    // Without scans there are no pictures, and no word of them.
    expect(readFileSync(options.output, 'utf8')).toContain('Click a column to sort.</p>')
  })

  test('a long name of a scan wraps and leaves the other columns in sight', () => {
    const row = {
      patientId: `${'1.2.840.'.repeat(8)}<1>`,
      seriesUid: '1.2',
      id: 1,
      boxDiameterMm: 8,
      views: [],
    }
    const table = noduleTable([{ ...row, center: [0, 0, 0], confidence: 0.9, slices: [1, 2] }], false)
    expect(table).toContain(`<span class="name">${'1.2.840.'.repeat(8)}&lt;1&gt;</span>`)
  })

  test('a folder without any is named, with what would help', async () => {
    const detections = join(temporary, 'no detections')
    mkdirSync(detections)
    const output = join(temporary, 'nothing.html')
    const remedy = /possible solutions: name the folder that detect wrote \(detections\)$/
    for (const options of [{ detections }, { detections, run: detections }]) {
      const report = writeReport({ ...options, output })
      await expect(report).rejects.toThrow(`${detections}: nothing to report`)
      await expect(report).rejects.toThrow(`received no detections in ${detections}`)
    }
    await expect(writeReport({ run: detections, output })).rejects.toThrow(remedy)
  })
})

test('without true nodules no sensitivity is shown, also as operating points and curve', async () => {
  const run = join(temporary, 'no nodules')
  await makeRun(run)
  const reference = join(run, 'none.csv')
  writeFileSync(reference, 'seriesuid,coordX,coordY,coordZ,diameter_mm\n')
  const output = join(temporary, 'no nodules.html')
  await writeReport({ detections: join(run, 'detections'), reference, output, bootstraps: 0 })
  const html = readFileSync(output, 'utf8')
  for (const rate of [0.125, 8]) expect(html).toContain(`Sensitivity at ${rate} per scan</th><td>-<`)
  expect(html).toContain('CPM -')
})

describe('a page of slices alone beside scans that another run examined', () => {
  const write = (name: string, content: unknown): string => {
    const path = join(temporary, name)
    writeFileSync(path, JSON.stringify(content))
    return path
  }
  const mapping = { originX: 0, originY: 0, scale: 1, frameWidth: 64, frameHeight: 48 }
  const of = {
    patientId: 'P',
    seriesInstanceUid: '1.5',
    sopInstanceUid: '1.5.1',
    k: 1,
    positionMm: 1,
    mapping,
  }
  const rects = [{ x1: 10, y1: 10, x2: 20, y2: 20 }]
  const scored = rects.map((rect) => ({ ...rect, score: 0.8 }))
  const setUp = async (): Promise<Parameters<typeof writeReport>[0]> => {
    const run = join(temporary, 'made for its detections')
    await makeRun(run)
    const made = JSON.parse(readFileSync(join(run, 'detections', '1.2.3.json'), 'utf8')) as {
      nodules: object[]
    }
    const found = join(temporary, 'whole scans')
    mkdirSync(found, { recursive: true })
    const boxes = scored.map((box) => ({ ...box, nodule: 1 }))
    write('whole scans/1.5.json', {
      ...{ ...made, patientId: 'P', seriesInstanceUid: '1.5', nodules: made.nodules.slice(0, 1) },
      slices: [{ k: 1, sopInstanceUid: '1.5.1', z: 1, boxes }],
    })
    const options = {
      truth: write('slices truth.json', [{ image_path: 'a.png', rects, nodule: of }]),
      predictions: write('slices found.json', [{ image_path: 'a.png', rects: scored }]),
      ...{ output: join(temporary, 'slices.html'), maxPictures: 0, bootstraps: 0, compare: [found] },
    }
    rmSync(run, { recursive: true })
    return options
  }

  test('compares them on its slices, as evaluate does', async () => {
    const options = await setUp()
    const { figures, warnings } = await writeReport(options)
    const { slices } = (figures as { comparison: Record<string, { runs: object[] }> }).comparison
    expect(slices!.runs).toMatchObject([
      { name: 'slices found.json', ap: 1 },
      { name: 'whole scans', ap: 1 },
    ])
    expect(warnings.join()).not.toContain('cannot be compared')
    expect(readFileSync(options.output, 'utf8')).toContain('id="slice-runs"')
  })

  test('leaves out one that has no results', async () => {
    const options = await setUp()
    const bare = join(temporary, 'bare run')
    mkdirSync(join(bare, 'detections'), { recursive: true })
    const { figures, warnings } = await writeReport({ ...options, compare: [bare] })
    expect(figures).toMatchObject({ comparison: undefined })
    expect(warnings).toContain(`${join(bare, 'detections')} holds no detections`)
    expect(warnings.join()).not.toContain('cannot be compared')
  })

  test('says why it cannot where its list does not tell slices', async () => {
    const options = await setUp()
    const truth = write('slices truth.json', [{ image_path: 'a.png', rects }])
    const { figures, warnings } = await writeReport({ ...options, truth })
    expect(figures).toMatchObject({ comparison: undefined })
    expect(warnings).toContain(
      '1 run of whole scans cannot be compared: this run has no detections in whole scans that are judged by true nodules, ' +
        `and ${truth} does not say which slices its images are, as a list of nodule prepare does`,
    )
  })
})

describe('a run of a second stage', () => {
  test('is reported by its log: its test list is a folder of cubes', async () => {
    const [run, cubes] = [join(temporary, 'second run'), join(temporary, 'cubes')]
    for (const folder of [run, cubes]) mkdirSync(folder)
    const lines = [0, 10].map((step) => ({
      step,
      lr: 0.1,
      loss: 1,
      testLoss: 2,
      testAuc: 0.75,
      msPerCube: 28,
    }))
    writeFileSync(join(run, 'log.jsonl'), lines.map((line) => JSON.stringify(line)).join('\n'))
    writeFileSync(join(run, 'run.jsonl'), JSON.stringify({ seed: 1, step: 0, test: '../cubes' }))
    const output = join(temporary, 'second run.html')
    await writeReport({ run, output })
    const html = readFileSync(output, 'utf8')
    expect(html).toContain('28 ms per training cube (median)')
    expect(html).toContain('area under the ROC curve, 0.750 at the end')
  })
})
