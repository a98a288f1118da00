import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, test } from 'vitest'
import { evaluatePairs, pairImages } from '../../src/evaluation/index.js'
import type { EvaluatedEntry } from '../../src/evaluation/index.js'
import { chartPng, chartSvg } from '../../src/report/chart.js'
import { embedJson, escapeHtml, sortableTable } from '../../src/report/html.js'
import { findComparedFiles, findRunFiles, seedOf } from '../../src/report/run_files.js'
import { writeReport } from '../../src/report/write_report.js'
import { readTrainingLog } from '../../src/report/training_log.js'
import { makeRun } from './made_run.js'

const temporary = mkdtempSync(join(tmpdir(), 'nodule-report-'))

let lists: { truth: EvaluatedEntry[]; predictions: EvaluatedEntry[] }
const run = join(temporary, 'first run')
const page = join(temporary, 'report.html')
let html = ''
let warnings: string[] = []

beforeAll(async () => {
  lists = await makeRun(run)
  const report = await writeReport({
    run,
    output: page,
    reference: join(run, 'reference.csv'),
    bootstraps: 50,
    ignoreExcluded: true,
  })
  html = readFileSync(page, 'utf8')
  warnings = report.warnings
})

describe('the page', () => {
  test('names what it is made of', () => {
    expect(html).toContain('nodule report: first run')
    expect(html).toContain('f'.repeat(64))
    expect(html).toMatch(/Seed<\/th><td>42</)
    expect(html).toContain('Training loss')
    expect(html).toContain('Free-response ROC')
    expect(warnings).toContain(
      `1 JSON file of ${join(run, 'detections')} is not nodule-detections/1, first notes.json`,
    )
  })

  test('needs nothing from outside', () => {
    const sources = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1]!)
    expect(sources.filter((source) => !source.startsWith('#') && !source.startsWith('data:'))).toEqual([])
    expect(html).not.toMatch(/@import|url\(http/)
  })

  test('text from files is escaped', () => {
    expect(html).toContain('TEST-&lt;1&gt;')
    expect(html).not.toContain('TEST-<1>')
    expect(escapeHtml('<a href="x">&')).toBe('&lt;a href=&quot;x&quot;&gt;&amp;')
    expect(embedJson({ a: '</script><!--' })).toBe(String.raw`{"a":"\u003c/script>\u003c!--"}`)
    const table = sortableTable('t', [{ title: '<i>', text: (row: string) => row }], ['<b>'])
    expect(table).not.toMatch(/<i>|<b>/)
  })

  test('runs its own script only, and says to all readers what it shows', () => {
    const [, policy] = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)!
    const [, script] = /<script>([^]*?)<\/script>/.exec(html)!
    const hash = createHash('sha256').update(script!).digest('base64')
    expect(policy).toContain(`default-src 'none'; script-src 'sha256-${hash}'; `)
    expect(html).not.toMatch(/ on(click|load|error)=/)
    expect(html).toMatch(/role="img" aria-label="Precision and recall; [^"]*AP 0\.\d{3}/)
    expect(html).toContain('role="tablist" aria-label="Boxes shown"')
    // The log holds an accuracy of 0.9, which says nothing of the detector.
    expect(html).not.toMatch(/accuracy/i)
  })

  test('an empty or missing folder is refused', async () => {
    const output = join(temporary, 'none.html')
    await expect(writeReport({ run: join(temporary, 'nowhere'), output })).rejects.toThrow(
      /cannot read the run/,
    )
    mkdirSync(join(temporary, 'empty'))
    await expect(writeReport({ run: join(temporary, 'empty'), output })).rejects.toThrow(/nothing to report/)
    expect(existsSync(output)).toBe(false)
  })

  test('from the figures alone', async () => {
    const folder = join(temporary, 'figures')
    mkdirSync(folder)
    const { images } = pairImages(lists.truth, lists.predictions)
    writeFileSync(join(folder, 'evaluation.json'), JSON.stringify(evaluatePairs(images)))
    const report = await writeReport({ run: folder, output: join(folder, 'report.html') })
    expect(report.warnings).toEqual([
      'the page has no slices: it needs the list of true boxes and the predictions',
    ])
    writeFileSync(join(folder, 'evaluation.json'), '{"format": "x"}')
    await expect(writeReport({ run: folder, output: page })).rejects.toThrow(/not a slice-level evaluation/)
  })
})

describe('judged as evaluate does', () => {
  const output = join(temporary, 'judged.html')
  const scansOf = (report: { figures: object }): { evaluation: { counts: object; sensitivity: number } } =>
    (report.figures as { scans: { evaluation: { counts: object; sensitivity: number } } }).scans

  test('of a table the scans that were examined count, or those of a list of series', async () => {
    const reference = join(temporary, 'two.csv')
    writeFileSync(reference, `${readFileSync(join(run, 'reference.csv'), 'utf8')}1.2.9,0,0,0,-1\n`)
    const options = { detections: join(run, 'detections'), reference, output, bootstraps: 0 }
    const examined = await writeReport(options)
    expect(scansOf(examined).evaluation).toMatchObject({ scans: 1, counts: { tp: 1, fn: 1 } })
    expect(examined.warnings.slice(1)).toEqual([
      '1 scan of the reference, with 1 nodule, was not examined and is left out; a list of series would count its nodules as missed',
    ])
    const series = join(temporary, 'series.csv')
    writeFileSync(series, 'seriesuid\n1.2.3\n1.2.9\n')
    const listed = await writeReport({ ...options, series })
    expect(scansOf(listed).evaluation).toMatchObject({ scans: 2, counts: { tp: 1, fn: 2 } })
    const html = readFileSync(output, 'utf8')
    expect(html).toContain('1.2.9')
    expect(html).not.toContain('>-1.0<')
  })

  test('excluded findings and lists of series without a reference are refused', async () => {
    for (const parameter of ['excluded', 'series'])
      await expect(
        writeReport({
          ...{ detections: join(run, 'detections'), output },
          [parameter]: join(run, 'reference.csv'),
        }),
      ).rejects.toMatchObject({ code: 'INVALID_PARAMETER', parameters: [parameter] })
  })

  test.each([
    [{ iou: 0.3 }, 'a list of true boxes and one of predictions'],
    [{ minScore: 0 }, 'a list of true boxes and one of predictions'],
    [{ tau: 0.2 }, 'a list of true boxes and one of predictions'],
    [{ mismatch: 'miss' as const }, 'a list of true boxes and one of predictions'],
    [{ ignoreExcluded: true }, 'a list of true boxes and one of predictions'],
    [{ scans: ['nowhere'] }, 'detections in whole scans'],
    [{ reference: 'nowhere.csv' }, 'detections in whole scans'],
  ])('%j is refused where nothing would use it', async (option, expected) => {
    const page = join(temporary, 'refused.html')
    const [detections, log] = [join(run, 'detections'), join(run, 'log.jsonl')]
    const files = expected.startsWith('detections') ? { log } : { log, detections }
    await expect(writeReport({ ...files, ...option, output: page })).rejects.toMatchObject({
      ...{ code: 'INVALID_PARAMETER', parameters: Object.keys(option), expected },
    })
    expect(existsSync(page)).toBe(false)
  })

  test('an evaluation of whole scans that lies in the folder is left out; a named one is refused', async () => {
    const folder = join(temporary, 'with scans')
    mkdirSync(folder)
    writeFileSync(join(folder, 'log.jsonl'), readFileSync(join(run, 'log.jsonl')))
    const evaluation = join(folder, 'evaluation.json')
    writeFileSync(evaluation, JSON.stringify({ format: 'nodule-evaluation/1', kind: 'scans' }))
    const report = await writeReport({ run: folder, output })
    expect(report.warnings).toEqual([
      expect.stringMatching(/^left out: .*evaluation\.json: .*received "scans"/) as string,
    ])
    await expect(writeReport({ run: folder, evaluation, output })).rejects.toThrow(/slice-level evaluation/)
  })
})

describe('runs side by side', () => {
  const output = join(temporary, 'side by side.html')
  const options = { run, reference: join(run, 'reference.csv'), output, bootstraps: 30 }

  test('a run folder and a CSV: curves, measures, differences', async () => {
    const other = join(temporary, 'second run')
    mkdirSync(other)
    const fewer = lists.predictions.map((entry) => ({ ...entry, rects: entry.rects.slice(0, 1) }))
    writeFileSync(join(other, 'predictions.json'), JSON.stringify(fewer))
    const csv = join(temporary, 'marks.csv')
    writeFileSync(csv, 'seriesuid,coordX,coordY,coordZ,probability\n1.2.3,200,0,0,0.9\n1.2.4,0,0,0,1\n')
    const plots = join(temporary, 'side-by-side-plots')
    const report = await writeReport({ ...options, plots, compare: [other, csv] })
    expect(report.warnings).toContain('marks.csv: 1 mark of 1 series that are not in the list is left out')
    const page = readFileSync(output, 'utf8')
    expect(page).toMatch(
      /AP, first run - second run: [+-]\d\.\d{3} \(.*p [=<] 0?\.?\d+.*30 paired bootstraps\)/,
    )
    expect(page).toMatch(/CPM, first run - marks\.csv: /)
    expect(page).toMatch(
      /nodules found at 1 false positive per scan: both 0, only first run 1, only marks\.csv 1/,
    )
    const { comparison } = report.figures as {
      comparison: Record<'slices' | 'scans', { runs: { name: string }[] }>
    }
    expect(comparison.slices.runs.map((one) => one.name)).toEqual(['first run', 'second run'])
    expect(comparison.scans.runs.map((one) => one.name)).toEqual(['first run', 'marks.csv'])
    for (const name of ['precision-recall', 'recall-1-precision', 'froc'])
      expect(existsSync(join(plots, `comparison-${name}.png`))).toBe(true)
  })

  test('what cannot be compared is said', async () => {
    await expect(writeReport({ ...options, compare: [join(run, 'gone')] })).rejects.toThrow(
      /cannot read the run.*no such file/,
    )
    const report = await writeReport({
      output,
      detections: join(run, 'detections'),
      compare: [join(run, 'predictions.json'), run],
    })
    expect(report.warnings).toContain('2 lists cannot be compared: no list of this run')
    expect(report.warnings).toContain(
      '1 run of whole scans cannot be compared: this run has no detections in whole scans that are judged by true nodules',
    )
    expect(readFileSync(output, 'utf8')).not.toContain('id="comparison"')
    // As it is before training.
    const trained = join(temporary, 'trained only')
    mkdirSync(trained)
    cpSync(join(run, 'hypes.json'), join(trained, 'hypes.json'))
    const bare = await writeReport({ run, output, compare: [trained] })
    expect(bare.warnings).toContain(
      `${trained}: nothing to compare: no predictions.json, no detections and no log.jsonl in it`,
    )
  })
})

describe('files of a run', () => {
  test('are found up to two folders below; given ones win', () => {
    const files = findRunFiles(run, { hypes: 'mine.json' })
    expect(files.truth).toBe(join(run, 'data', 'test.json'))
    expect(files.hypes).toBe('mine.json')
    expect(files.evaluation).toBeUndefined()
  })

  test('links that lead nowhere are none, and hide nothing beside them', () => {
    const folder = mkdtempSync(join(tmpdir(), 'nodule-report-links-'))
    const part = join(folder, 'part')
    mkdirSync(part)
    for (const at of [folder, part]) {
      symlinkSync(join(folder, 'gone'), join(at, 'predictions.json'))
      symlinkSync('circle', join(at, 'circle'))
    }
    writeFileSync(join(part, 'log.jsonl'), '')
    symlinkSync(part, join(folder, 'detections'))
    expect(findRunFiles(folder)).toEqual({
      log: join(part, 'log.jsonl'),
      detections: join(folder, 'detections'),
    })
  })

  test('two of a name at one depth are refused', () => {
    const folder = join(temporary, 'twice')
    for (const name of ['a', 'b']) {
      mkdirSync(join(folder, name), { recursive: true })
      writeFileSync(join(folder, name, 'log.jsonl'), '')
    }
    expect(() => findRunFiles(folder)).toThrow(
      'several files are called log.jsonl: expected one but received a/log.jsonl, b/log.jsonl; ' +
        'possible solutions: name the one that is meant (log)',
    )
  })

  test('of a run to compare with, only what is compared must be there once', async () => {
    const folder = join(temporary, 'compared')
    for (const name of ['a', 'b']) {
      mkdirSync(join(folder, name), { recursive: true })
      writeFileSync(join(folder, name, 'log.jsonl'), '')
    }
    const predictions = ['a', 'b'].map((name) => join(folder, name, 'predictions.json'))
    writeFileSync(predictions[0]!, '[]')
    expect(findComparedFiles(folder)).toEqual({ predictions: predictions[0] })
    writeFileSync(predictions[1]!, '[]')
    const options = { run, output: join(temporary, 'compared.html'), bootstraps: 0 }
    await expect(writeReport({ ...options, compare: [folder] })).rejects.toMatchObject({
      code: 'FORMAT',
      message:
        `${folder}: several files are called predictions.json: expected one but received a/predictions.json, ` +
        'b/predictions.json; possible solutions: name the one that is meant itself as the run to compare with (compare)',
    })
  })

  test('that are not read are not named, and refused where they are given', async () => {
    const folder = join(temporary, 'unread files')
    await makeRun(folder)
    const evaluation = join(folder, 'evaluation.json')
    writeFileSync(evaluation, '{}')
    const options = { run: folder, output: join(temporary, 'unread files.html'), bootstraps: 0 }
    const { figures } = await writeReport(options)
    const { provenance } = figures as { provenance: object }
    expect(Object.keys(provenance)).toContain('Predictions')
    expect(Object.keys(provenance)).not.toContain('Evaluation')
    await expect(writeReport({ ...options, evaluation })).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      message:
        'the option has no effect here (evaluation): expected no lists of true boxes and predictions but received both',
    })
    const [predictions, log] = [join(folder, 'predictions.json'), join(folder, 'log.jsonl')]
    await expect(writeReport({ log, predictions, output: options.output })).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      message: 'the option has no effect here (predictions): expected a list of true boxes but received none',
    })
  })

  test('the true boxes are the list that run.jsonl names, also where the run was moved', () => {
    const folder = join(temporary, 'several lists')
    for (const name of ['known', 'unseen', 'training']) mkdirSync(join(folder, name), { recursive: true })
    const lists = ['known', 'unseen'].map((name) => join(folder, name, 'test.json'))
    for (const list of lists) writeFileSync(list, '[]')
    const elsewhere = join(temporary, 'elsewhere.json')
    writeFileSync(elsewhere, '[]')
    writeFileSync(join(folder, 'training', 'log.jsonl'), '')
    const starts = (...tests: string[]): void =>
      writeFileSync(
        join(folder, 'training', 'run.jsonl'),
        tests.map((test) => `${JSON.stringify({ step: 0, test })}\n`).join(''),
      )
    expect(() => findRunFiles(folder)).toThrow(
      /several files are called test\.json.*known\/test\.json, unseen.*name the one that is meant \(truth\)/,
    )
    starts(lists[0]!, lists[1]!)
    expect(findRunFiles(folder).truth).toBe(lists[1])
    expect(findRunFiles(folder, { truth: lists[0] }).truth).toBe(lists[0])
    starts('/gone/run/known/test.json')
    expect(findRunFiles(folder).truth).toBe(lists[0])
    starts(elsewhere)
    expect(findRunFiles(folder).truth).toBe(elsewhere)
    starts('/gone/other.json')
    expect(() => findRunFiles(folder)).toThrow(/several files are called test\.json/)
  })

  test('each model has the parameters of its own detections, and folders of the machine stay out', async () => {
    const folder = join(temporary, 'two models')
    await makeRun(folder)
    const [path, hypesPath] = [join(folder, 'detections', '1.2.3.json'), join(folder, 'hypes.json')]
    const first = JSON.parse(readFileSync(path, 'utf8')) as { model: object; parameters: object }
    const other = { ...first, seriesInstanceUid: '1.2.4', model: { ...first.model, sha256: 'e'.repeat(64) } }
    writeFileSync(
      join(folder, 'detections', '1.2.4.json'),
      JSON.stringify({ ...other, parameters: { ...first.parameters, minScore: 0.9 } }),
    )
    const hypes = JSON.parse(readFileSync(hypesPath, 'utf8')) as { solver: object }
    const solver = { ...hypes.solver, weights: '/home/alice/w.safetensors' }
    writeFileSync(hypesPath, JSON.stringify({ ...hypes, solver }))
    const output = join(temporary, 'two models.html')
    const report = await writeReport({ run: folder, output, bootstraps: 0 })
    const text = readFileSync(output, 'utf8')
    expect(
      text.match(/Detection parameters<\/th><td>[^<]*minScore[^<]*/g)!.map((row) => /[\d.]+\}/.exec(row)![0]),
    ).toEqual(['0.1}', '0.9}'])
    expect(text).toContain('w.safetensors')
    expect(text + JSON.stringify(report.figures)).not.toContain('alice')
  })

  test('the seed is that of the last start, which --seed may have given', () => {
    const folder = join(temporary, 'seeds')
    mkdirSync(folder)
    const log = join(folder, 'log.jsonl')
    expect(seedOf(log)).toBeUndefined()
    writeFileSync(join(folder, 'run.jsonl'), '{"step":0,"seed":1}\n{"step":5,"seed":7}\n')
    expect(seedOf(log)).toBe(7)
    writeFileSync(join(folder, 'run.jsonl'), '{"step":0,"se')
    expect(seedOf(log)).toBeUndefined()
    expect(seedOf(undefined)).toBeUndefined()
  })

  test('a log: parts, a cut last line, a bad line', () => {
    const log = readTrainingLog(join(run, 'log.jsonl'))
    expect(log).toHaveLength(4)
    expect(log[0]).toEqual({
      step: 10,
      lr: 0.001,
      loss: 0.5,
      parts: { box: 0.1 },
      testAccuracy: 0.9,
      msPerImage: 200,
    })
    const bad = join(temporary, 'bad.jsonl')
    writeFileSync(bad, '{"step": 1, "lr": 0.1, "loss": "x"}\n')
    expect(() => readTrainingLog(bad)).toThrow(/line 1: not a log entry: expected number for loss/)
  })
})

test('charts: titles, units and figures, as SVG and PNG', async () => {
  const svg = chartSvg({
    title: 'A curve',
    x: { name: 'Distance (mm)', min: 0 },
    y: { name: 'Share (%)', max: 100 },
    lines: [
      {
        name: 'ours 0.5',
        points: [
          [0, 1],
          [1, 50],
        ],
      },
    ],
    bands: [{ name: '95 %', x: [0, 1], low: [0, 40], high: [5, 60], color: '#0072b2' }],
  })
  for (const text of ['A curve', 'Distance (mm)', 'Share (%)', 'ours 0.5', '95 %'])
    expect(svg).toContain(text)
  const { width, height } = await sharp(await chartPng(svg)).metadata()
  expect([width, height]).toEqual([1280, 880])
})
