import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, expect, it } from 'vitest'
import { drawTraining } from '../../src/training/train.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-sheet-'))
afterAll(() => rmSync(root, { recursive: true }))

it('the sheet of training frames tells what is left out', async () => {
  const [hypes, list, sheet] = ['hypes.json', 'list.json', 'sheet.png'].map((name) => join(root, name))
  const size = { image_width: 96, image_height: 64, grid_width: 3, grid_height: 2 }
  writeFileSync(hypes!, JSON.stringify({ ...size, slim_basename: 'tiny', batch_size: 1 }))
  await sharp({ create: { width: 96, height: 64, channels: 3, background: '#444' } })
    .png()
    .toFile(join(root, 'a.png'))
  const rects = [...Array(6).keys()].map((n) => ({ x1: 4 * n, y1: 2, x2: 4 * n + 4, y2: 9 }))
  const entries = ['a.png', 'gone.png'].map((image_path) => ({ image_path, rects }))
  writeFileSync(list!, JSON.stringify(entries))
  const warnings: string[] = []
  const onWarning = (warning: string): number => warnings.push(warning)
  await drawTraining({ hypes: hypes!, train: list!, skipMissing: true, onWarning }, sheet!)
  expect(warnings).toEqual([
    `${list}: 1 image is missing and skipped: ${join(root, 'gone.png')}`,
    `${list}: 1 of 6 boxes trains nothing where frames are shown as they are: 1 beyond rnn_len (5) in its cell`,
  ])
  expect(existsSync(sheet!)).toBe(true)
  const other = join(root, 'sheet.jpg')
  await expect(drawTraining({ hypes: hypes!, train: list!, skipMissing: true }, other)).rejects.toThrow(
    `${other}: wrong output name: expected a name that ends in .png`,
  )
  expect(existsSync(other)).toBe(false)
})
