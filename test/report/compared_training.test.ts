import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeReport } from '../../src/report/index.js'
import type { WrittenReport } from '../../src/report/index.js'

const temporary = mkdtempSync(join(tmpdir(), 'nodule-trainings-'))
const output = join(temporary, 'report.html')
const [first, second] = ['first', 'second'].map((name) => join(temporary, name)) as [string, string]

beforeAll(() => {
  for (const [folder, steps] of [
    [first, 4],
    [second, 9],
  ] as const) {
    mkdirSync(folder)
    const entry = (n: number): string =>
      JSON.stringify({ step: 10 * n, lr: 0.1 / n, loss: 3 / n, testLoss: 4 / n, testAp: n / 10 })
    const lines = Array.from({ length: steps }, (_, n) => entry(n + 1))
    writeFileSync(join(folder, 'log.jsonl'), `${lines.join('\n')}\n`)
  }
})

afterAll(() => rmSync(temporary, { recursive: true }))

async function compare(
  paths: string[],
  o: Partial<Parameters<typeof writeReport>[0]> = {},
): Promise<WrittenReport> {
  return writeReport({ run: first, output, compare: paths, ...o })
}

/** The page's part that compares; empty without one. */
function comparison(): string {
  return /<section id="comparison".*?<\/section>/s.exec(readFileSync(output, 'utf8'))?.[0] ?? ''
}

describe('trainings of runs that are compared', () => {
  test('lie on top of each other, by the names of the runs', async () => {
    const plots = join(temporary, 'plots')
    const report = await compare([second], { plots })
    expect(report.warnings).toEqual([])
    const page = comparison()
    for (const text of [
      '<h3>Training</h3>',
      'first: loss 0.750',
      'second: test loss 0.444',
      'second: 0.900 at the',
    ])
      expect(page).toContain(text)
    expect(page.match(/<svg/g)).toHaveLength(3)
    const { comparison: figures } = report.figures as {
      comparison: { training: { name: string; log: { step: number }[] }[] }
    }
    expect(figures.training.map(({ name, log }) => [name, log.length, log.at(-1)!.step])).toEqual([
      ['first', 4, 40],
      ['second', 9, 90],
    ])
    for (const name of ['loss', 'ap', 'learning-rate'])
      expect(existsSync(join(plots, `comparison-${name}.svg`))).toBe(true)
    expect(existsSync(join(plots, 'validation.svg'))).toBe(true)
  })

  test('a log may be named itself', async () => {
    const report = await compare([join(second, 'log.jsonl')], {
      run: undefined,
      log: join(first, 'log.jsonl'),
    })
    expect(report.warnings).toEqual([])
    expect(comparison()).toContain('second: loss ')
    const broken = join(temporary, 'broken.jsonl')
    writeFileSync(broken, '{}\n')
    await expect(compare([broken])).rejects.toMatchObject({ code: 'FORMAT', path: broken })
  })

  test('a run whose log cannot be used is compared without, and told of', async () => {
    const other = join(temporary, 'other')
    const log = join(other, 'log.jsonl')
    mkdirSync(other)
    writeFileSync(log, '{"step": "one"}\n')
    expect((await compare([other])).warnings).toEqual([
      `the training of other is left out: ${log}: line 1: not a log entry: expected number for step but received "one"`,
    ])
    expect(comparison()).toBe('')
    writeFileSync(log, '')
    expect((await compare([other])).warnings).toEqual([
      `the training of other is left out: ${log} has no entries`,
    ])
    // Two of them: which is meant?
    rmSync(log)
    for (const part of ['a', 'b']) cpSync(second, join(other, part), { recursive: true })
    expect((await compare([other])).warnings[0]).toMatch(
      /^the training of other is left out: .*several files are called log.jsonl: expected one but received a\/log.jsonl, b\/log.jsonl/,
    )
  })

  test('where the page is of no training, a run with nothing else is told of', async () => {
    const evaluation = join(temporary, 'bare')
    mkdirSync(evaluation)
    writeFileSync(join(evaluation, 'test.json'), '[{"image_path":"a.png","rects":[]}]')
    writeFileSync(join(evaluation, 'predictions.json'), '[{"image_path":"a.png","rects":[]}]')
    const { warnings } = await compare([second], { run: evaluation, maxPictures: 0 })
    expect(warnings).toContain('1 training cannot be compared: this run has no training log')
    expect(comparison()).toBe('')
  })
})
