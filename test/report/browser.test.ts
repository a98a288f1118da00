import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { evaluatePairs, pairImages } from '../../src/evaluation/index.js'
import type { EvaluatedEntry } from '../../src/evaluation/index.js'
import { writeReport } from '../../src/report/write_report.js'
import { makeRun } from './made_run.js'

const temporary = mkdtempSync(join(tmpdir(), 'nodule-page-'))
const run = join(temporary, 'run')
const page = join(temporary, 'report.html')
let lists: { truth: EvaluatedEntry[]; predictions: EvaluatedEntry[] }

beforeAll(async () => {
  lists = await makeRun(run)
  const reference = join(run, 'reference.csv')
  await writeReport({ run, output: page, reference, bootstraps: 50, ignoreExcluded: true })
})
afterAll(() => rmSync(temporary, { recursive: true }))

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
      await tab.locator('#gallery button').first().click()
      expect(await tab.locator('#caption').textContent()).toMatch(
        /P\d, slice \d+, confidence 0\.\d\d +\(1 of \d+\)/,
      )
      expect(await tab.locator('#stage rect.b-wrong').count()).toBeGreaterThan(0)
      await tab.keyboard.press('ArrowRight')
      expect(await tab.locator('#caption').textContent()).toContain('(2 of')
      await tab.keyboard.press('Escape')
      expect(await tab.locator('#view').isVisible()).toBe(false)

      const column = (): Promise<string[]> => tab.locator('#nodules tbody td:nth-child(5)').allTextContents()
      await tab.getByRole('button', { name: 'Box diameter (mm)' }).first().click()
      expect(await column()).toEqual(['9.0', '10.0', '11.0'])
      await tab.getByRole('button', { name: 'Box diameter (mm)' }).first().click()
      expect(await column()).toEqual(['11.0', '10.0', '9.0'])
      expect(await tab.locator('#findings .tag').allTextContents()).toEqual(['missed', 'found'])

      await tab.locator('#scan-confidence').fill('0.5')
      expect(await tab.locator('#scan-shown').textContent()).toBe('2')
      expect(await tab.locator('#scan-sensitivity').textContent()).toBe('0.500')
      expect(await tab.locator('#scan-fps').textContent()).toBe('1.00')

      // One press of Enter or Space opens the picture that has the focus, and no other.
      await tab.locator('#scan-confidence').fill('0')
      for (const key of ['Enter', 'Space']) {
        const thumbnail = tab.locator('#gallery button').nth(1)
        const label = await thumbnail.getAttribute('aria-label')
        await thumbnail.press(key)
        expect(`Enlarge: ${await tab.locator('#caption').textContent()}`).toContain(`${label}   (2 of `)
        await tab.keyboard.press('Escape')
      }
      const selected = tab.locator('#tabs [aria-selected=true]')
      await selected.press('Home')
      expect(await selected.getAttribute('data-tab')).toBe('hits')
      await tab.keyboard.press('ArrowLeft')
      expect(await selected.getAttribute('data-tab')).toBe('all')
      expect(await tab.evaluate('document.activeElement.id')).toBe('tab-all')

      // On a telephone nothing reaches beyond the page, and no cell is narrower than its words.
      await tab.setViewportSize({ width: 390, height: 844 })
      expect(await tab.evaluate('document.documentElement.scrollWidth')).toBe(390)
      await tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
      expect(await tab.evaluate('document.documentElement.scrollWidth')).toBe(390)
      const narrowest = `Math.min(...[...document.querySelectorAll('.facts td')].map((cell) => cell.clientWidth))`
      expect(await tab.evaluate(narrowest)).toBeGreaterThan(120)
      await tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = false })")

      // Paper holds whole tables, with the rows that the slider hides and the parts that are folded.
      await tab.setViewportSize({ width: 1300, height: 900 })
      await tab.locator('#scan-confidence').fill('0.95')
      await tab.emulateMedia({ media: 'print' })
      await tab.evaluate("dispatchEvent(new Event('beforeprint'))")
      expect(await tab.locator('#nodules tbody tr:visible').count()).toBe(3)
      expect(await tab.locator('details:not([open])').count()).toBe(0)
      const cut = `[...document.querySelectorAll('.scroll')].filter((one) => getComputedStyle(one).overflow !== 'visible').length`
      expect(await tab.evaluate(cut)).toBe(0)
      await tab.evaluate("dispatchEvent(new Event('afterprint'))")
      await tab.emulateMedia({ media: 'screen' })
      expect(await tab.locator('#nodules tbody tr:visible').count()).toBe(0)

      // The ground and the charts turn dark.
      const ground = 'getComputedStyle(document.body).backgroundColor'
      expect(await tab.evaluate(ground)).toBe('rgb(244, 246, 248)')
      await tab.emulateMedia({ colorScheme: 'dark' })
      expect(await tab.evaluate(ground)).toBe('rgb(16, 22, 28)')
      expect(await tab.evaluate("getComputedStyle(document.querySelector('.plot svg')).filter")).toContain(
        'invert',
      )
      await tab.emulateMedia({ colorScheme: 'light' })

      const picture = await tab.screenshot({ path: join(temporary, 'page.png'), fullPage: true })
      expect(picture.length).toBeGreaterThan(20_000)
      expect(problems).toEqual([])
      expect(requests.filter((url) => !url.startsWith('file:') && !url.startsWith('data:'))).toEqual([])
    } finally {
      await browser.close()
    }
  })
})
