import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, test } from 'vitest'
import { writePng } from '../../src/dataset/images.js'
import { evaluatePairs, pairImages } from '../../src/evaluation/index.js'
import type { EvaluatedEntry } from '../../src/evaluation/index.js'
import { createRandom } from '../../src/random.js'
import { chartPng, chartSvg } from '../../src/report/chart.js'
import { embedJson, escapeHtml, sortableTable } from '../../src/report/html.js'
import { findRunFiles, writeReport } from '../../src/report/index.js'
import { readTrainingLog } from '../../src/report/training_log.js'

const temporary = mkdtempSync(join(tmpdir(), 'nodule-report-'))

/** A made-up run: 12 slices, seeded boxes, one scan's detections, a log. */
async function makeRun(run: string): Promise<{ truth: EvaluatedEntry[]; predictions: EvaluatedEntry[] }> {
  mkdirSync(join(run, 'data', 'frames'), { recursive: true })
  mkdirSync(join(run, 'detections'))
  const random = createRandom(11)
  const truth: EvaluatedEntry[] = []
  const predictions: EvaluatedEntry[] = []
  for (let i = 0; i < 12; i++) {
    const name = `frames/slice-${i}.png`
    const gray = 40 + 10 * i
    const data = new Uint8Array(64 * 48 * 3).fill(gray)
    await writePng(join(run, 'data', name), { width: 64, height: 48, data })
    const box = (): EvaluatedEntry['rects'][number] => {
      const x = random.integer(40)
      const y = random.integer(28)
      return { x1: x, y1: y, x2: x + 8 + random.integer(8), y2: y + 8 + random.integer(8) }
    }
    const rects = Array.from({ length: random.integer(3) }, box)
    const found = rects.map((rect) => ({ ...rect, x1: rect.x1 + random.integer(4), score: random.uniform() }))
    const wrong = Array.from({ length: random.integer(3) }, () => ({ ...box(), score: random.uniform() / 2 }))
    const excluded = [{ x1: 0, y1: 0, x2: 20, y2: 20 }, ...wrong.slice(0, i % 2)]
    truth.push({ image_path: name, rects, nodule: { patientId: `P${i % 3}`, k: i, excluded } as never })
    predictions.push({ image_path: join(run, 'data', name), rects: [...found, ...wrong] })
  }
  const nodule = (id: number, x: number, confidence: number): object => ({
    id,
    center: [x, 0, 0],
    centerVoxel: [3, 10, 10],
    boxDiameterMm: 8 + id,
    extentMm: 8,
    confidence,
    slices: [2, 4],
    box: { x1: 5, y1: 5, x2: 15, y2: 15 },
  })
  const detections = {
    format: 'nodule-detections/1',
    patientId: 'TEST-<1>',
    studyInstanceUid: '1.2',
    seriesInstanceUid: '1.2.3',
    model: {
      path: 'model.onnx',
      sha256: 'f'.repeat(64),
      step: 500,
      codeVersion: '0.1.0',
      precision: 'float32',
    },
    versions: { nodule: '0.1.0', onnxruntime: '1.30.0', node: '20' },
    device: 'cpu',
    parameters: { minScore: 0.1 },
    slices: [],
    nodules: [nodule(1, 0, 0.9), nodule(2, 100, 0.6), nodule(3, 50, 0.2)],
    timing: { total: 1500 },
    warnings: [],
  }
  const save = (name: string, value: unknown): void =>
    writeFileSync(join(run, name), typeof value === 'string' ? value : JSON.stringify(value))
  save('data/test.json', truth)
  save('predictions.json', predictions)
  save('detections/1.2.3.json', detections)
  save('detections/notes.json', { format: 'something else' })
  save('hypes.json', { solver: { rnd_seed: 42 } })
  const entry = (step: number): string =>
    JSON.stringify({ step, lr: 0.001, loss: 5 / step, box: 1 / step, testAccuracy: 0.9, msPerImage: 200 })
  save('log.jsonl', [10, 20, 30, 40].map(entry).join('\n') + '\n{"step": 50, "lo')
  save('reference.csv', 'seriesuid,coordX,coordY,coordZ,diameter_mm\n1.2.3,1,0,0,10\n1.2.3,200,0,0,10\n')
  return { truth, predictions }
}

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
      `1 JSON files of ${join(run, 'detections')} are not nodule-detections/1, first notes.json`,
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
    expect(report.warnings).toContain('marks.csv: 1 marks of 1 series that are not in the list are left out')
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
      log: join(run, 'log.jsonl'),
      compare: [join(run, 'predictions.json'), run],
    })
    expect(report.warnings).toContain('2 lists cannot be compared: no list of this run')
    expect(report.warnings).toContain("1 runs of whole scans cannot be compared: no evaluation of this run's")
    expect(readFileSync(output, 'utf8')).not.toContain('id="comparison"')
  })
})

describe('files of a run', () => {
  test('are found up to two folders below; given ones win', () => {
    const files = findRunFiles(run, { hypes: 'mine.json' })
    expect(files.truth).toBe(join(run, 'data', 'test.json'))
    expect(files.hypes).toBe('mine.json')
    expect(files.evaluation).toBeUndefined()
  })

  test('two of a name at one depth are refused', () => {
    const folder = join(temporary, 'twice')
    for (const name of ['a', 'b']) {
      mkdirSync(join(folder, name), { recursive: true })
      writeFileSync(join(folder, name, 'log.jsonl'), '')
    }
    expect(() => findRunFiles(folder)).toThrow(/several files are called log\.jsonl.*--log.*a\/log\.jsonl, b/)
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

const chromium = process.env['NODULE_CHROMIUM'] ?? '/usr/bin/chromium'
// Without the browser the page's script is not tested; "apt-get install chromium" brings it.
describe.skipIf(!existsSync(chromium))('in Chromium', () => {
  test('sliders recompute what evaluateSlices computes; tables sort; pictures enlarge', async () => {
    const { chromium: driver } = await import('playwright-core')
    const flags =
      '--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync --no-first-run'
    const browser = await driver.launch({ executablePath: chromium, args: flags.split(' ') })
    try {
      const tab = await browser.newPage({ viewport: { width: 1300, height: 900 } })
      const problems: string[] = []
      const requests: string[] = []
      tab.on('pageerror', (error) => problems.push(error.message))
      tab.on('console', (message) => problems.push(message.text()))
      tab.on('request', (request) => requests.push(request.url()))
      await tab.goto(`file://${encodeURI(page)}`)
      const figure = (name: string): Promise<string | null> => tab.locator(`#figure-${name}`).textContent()

      const { images } = pairImages(lists.truth, lists.predictions, {
        truthDir: join(run, 'data'),
        ignoreExcluded: true,
      })
      for (const iou of [0.25, 0.5, 0.8]) {
        const expected = evaluatePairs(images, { iou })
        for (const confidence of [0, 0.3, 0.55, 0.95]) {
          await tab.locator('#overlap').fill(String(iou))
          await tab.locator('#confidence').fill(String(confidence))
          const point = expected.curve.filter((item) => item.threshold >= confidence).at(-1)
          expect(await figure('tp')).toBe(String(point?.tp ?? 0))
          expect(await figure('fp')).toBe(String(point?.fp ?? 0))
          expect(await figure('missed')).toBe(String(point?.fn ?? expected.truthBoxes))
          expect(await figure('ap')).toBe(expected.ap!.toFixed(3))
          if (point !== undefined) {
            expect(await figure('precision')).toBe(point.precision.toFixed(3))
            expect(await figure('recall')).toBe(point.recall!.toFixed(3))
          }
          // The galleries show the same boxes as the figures count.
          const counts = await tab.locator('#tabs button').allTextContents()
          expect(counts.slice(0, 3)).toEqual([
            `Found (${point?.tp ?? 0})`,
            `False positives (${point?.fp ?? 0})`,
            `Missed (${point?.fn ?? expected.truthBoxes})`,
          ])
        }
      }

      await tab.locator('#confidence').fill('0')
      await tab.locator('[data-tab=wrong]').click()
      await tab.locator('#gallery figure').first().click()
      expect(await tab.locator('#caption').textContent()).toMatch(
        /P\d, slice \d+, confidence 0\.\d\d +\(1 of \d+\)/,
      )
      expect(await tab.locator('#stage rect.b-wrong').count()).toBeGreaterThan(0)
      await tab.keyboard.press('ArrowRight')
      expect(await tab.locator('#caption').textContent()).toContain('(2 of')
      await tab.keyboard.press('Escape')
      expect(await tab.locator('#view').isVisible()).toBe(false)

      const column = (): Promise<string[]> => tab.locator('#nodules tbody td:nth-child(5)').allTextContents()
      await tab.getByRole('button', { name: 'Diameter (mm)' }).first().click()
      expect(await column()).toEqual(['9.0', '10.0', '11.0'])
      await tab.getByRole('button', { name: 'Diameter (mm)' }).first().click()
      expect(await column()).toEqual(['11.0', '10.0', '9.0'])
      expect(await tab.locator('#findings .tag').allTextContents()).toEqual(['missed', 'found'])

      await tab.locator('#scan-confidence').fill('0.5')
      expect(await tab.locator('#scan-shown').textContent()).toBe('2')
      expect(await tab.locator('#scan-sensitivity').textContent()).toBe('0.500')
      expect(await tab.locator('#scan-fps').textContent()).toBe('1.00')

      const picture = await tab.screenshot({ path: join(temporary, 'page.png'), fullPage: true })
      expect(picture.length).toBeGreaterThan(20_000)
      expect(problems).toEqual([])
      expect(requests.filter((url) => !url.startsWith('file:') && !url.startsWith('data:'))).toEqual([])
    } finally {
      await browser.close()
    }
  })
})
