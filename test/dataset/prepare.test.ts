import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { batches, prepareDataset, preparedTable, readList, splitRule } from '../../src/dataset/index.js'
import { drawDataset } from '../../src/pictures/index.js'
import { readImage } from '../../src/formats/index.js'
import type { Batch, PrepareOptions } from '../../src/dataset/index.js'
import { frameToImage } from '../../src/geometry/frame.js'
import { NoduleError } from '../../src/errors.js'
import { fileName } from '../../src/dataset/prepare/record.js'
import { convertSeries } from '../../src/scans/index.js'
import { writeScan } from './scan_files.js'

const hypes = parseHypes({ image_width: 96, image_height: 64, grid_width: 3, grid_height: 2 })
const BALL = { x: 26, y: 50, z: 12, radiusMm: 15 }

let root: string
let scans: string
let output: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'nodule-prepare-'))
})
afterAll(() => rmSync(root, { recursive: true }))

/** Four scans of three patients, one without nodules, one with a nodule of two readers. */
beforeEach(() => {
  scans = mkdtempSync(join(root, 'scans-'))
  output = mkdtempSync(join(root, 'output-'))
  writeScan(join(scans, 'a/x/1'), { patientId: 'P1', seriesUid: '1.2.1', ball: BALL })
  writeScan(join(scans, 'a/y'), { patientId: 'P1', seriesUid: '1.2.2', ball: { ...BALL, x: 70 } })
  writeScan(join(scans, 'b'), { patientId: 'P2', seriesUid: '1.2.3' })
  writeScan(join(scans, 'c'), { patientId: 'P3', seriesUid: '1.2.4', ball: BALL, readers: 2 })
})

const prepare = (more: Partial<PrepareOptions> = {}) =>
  prepareDataset({ inputs: [scans], output, hypes, slices: { kind: 'all' }, jobs: 1, ...more })

/** Every file of a folder with its content. */
function contents(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
  return new Map(
    files
      .map((file) => join(file.parentPath, file.name))
      .sort()
      .map((path) => [path.slice(folder.length), readFileSync(path, 'base64')]),
  )
}

describe('prepareDataset', () => {
  it('makes frames with the nodules in their boxes, lists by patient and a manifest', async () => {
    const { manifest, made } = await prepare()
    expect(made).toBe(4)
    expect(manifest.failed).toEqual([])
    const lists = manifest.lists.map(({ file }) => readList(join(output, file)))
    expect(manifest.lists.map(({ file }) => file)).toEqual(['test.json', 'train.json', 'val.json'])
    const parts = lists.map((list) => new Set(list.entries.map((entry) => entry.nodule!.patientId)))
    expect(parts.flatMap((part) => [...part]).sort()).toEqual(['P1', 'P2', 'P3'])
    for (const [i, list] of lists.entries()) {
      const bytes = readFileSync(list.path)
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(manifest.lists[i]!.sha256)
    }
    const entries = lists.flatMap((list) => list.entries)
    expect(entries).toHaveLength(4 * 24)
    let boxes = 0
    for (const entry of entries) {
      const source = entry.nodule!
      const image = await readImage(join(output, entry.image_path))
      expect(image).toMatchObject({ width: 96, height: 64 })
      expect(source.nodules).toHaveLength(entry.rects.length)
      expect(source.measures).toHaveLength(entry.rects.length)
      for (const { readers, axialDiameterMm, texture } of source.measures!) {
        expect(readers).toBe(4)
        expect(axialDiameterMm).toBeGreaterThan(3)
        expect(texture).toBe(3)
      }
      for (const rect of entry.rects) {
        boxes++
        const box = frameToImage(source.mapping, rect)
        const x = source.seriesInstanceUid === '1.2.2' ? 70 : 26
        const half = source.k === 12 ? 4.5 : 3.5
        for (const [side, expected] of [
          [box.x1, x + 0.5 - half],
          [box.y1, 50.5 - half],
          [box.x2, x + 0.5 + half],
          [box.y2, 50.5 + half],
        ] as const)
          expect(side).toBeCloseTo(expected, 9)
        const gray = (u: number, v: number): number =>
          image.data[(Math.floor(v) * 96 + Math.floor(u)) * 3 + 1]!
        const middle = (rect.y1 + rect.y2) / 2
        expect(gray((rect.x1 + rect.x2) / 2, middle)).toBeGreaterThan(180)
        expect(gray(rect.x1 - 2, middle)).toBeLessThan(80)
        expect(gray(rect.x2 + 2, middle)).toBeLessThan(80)
      }
    }
    expect(boxes).toBe(10)
    const twoReaders = entries.filter((entry) => entry.nodule!.patientId === 'P3')
    expect(twoReaders.filter((entry) => entry.nodule!.excluded.length === 1)).toHaveLength(5)
    expect(twoReaders.every((entry) => entry.rects.length === 0)).toBe(true)
  })

  it('takes a scan and its volume file for one, of one part', async () => {
    await convertSeries([join(scans, 'c')], join(scans, '1.2.4.mhd'))
    const { manifest, made } = await prepare()
    expect(made).toBe(4)
    expect(manifest.skipped).toEqual([
      { seriesInstanceUid: '1.2.4', folder: scans, reason: 'the scan of P3 1.2.4, by its series UID' },
    ])
  })

  it('gives the same in threads, failures too', async () => {
    truncateSync(join(scans, 'a/y/3.dcm'), 5000)
    const { manifest } = await prepare()
    const alone = contents(output)
    output = mkdtempSync(join(root, 'output-'))
    const threads = await prepare({ jobs: 2 })
    expect(threads.manifest.failed).toEqual(manifest.failed)
    expect(contents(output)).toEqual(alone)
  })

  it('does nothing again when nothing changed, and only what changed', async () => {
    await prepare()
    const before = contents(output)
    const times = (path: string) => statSync(join(output, path)).mtimeMs
    const frames = readdirSync(join(output, 'frames')).map((file) => `frames/${file}`)
    const stamps = frames.map(times)
    expect(await prepare()).toMatchObject({ made: 0, unchanged: 4 })
    expect(contents(output)).toEqual(before)
    expect(frames.map(times)).toEqual(stamps)

    writeScan(join(scans, 'b'), { patientId: 'P2', seriesUid: '1.2.3', ball: BALL })
    expect(await prepare()).toMatchObject({ made: 1, unchanged: 3 })
    rmSync(join(output, frames[0]!))
    expect(await prepare()).toMatchObject({ made: 1, unchanged: 3 })
    for (const broken of ['{"format":"nodule-scan/1"}', 'null', '{"for']) {
      writeFileSync(join(output, 'scans/P2_1.2.3.json'), broken)
      expect(await prepare()).toMatchObject({ made: 1, unchanged: 3 })
    }
    expect(await prepare({ boxes: { minReaders: 2 } })).toMatchObject({ made: 4 })
    expect(await prepare({ boxes: { minReaders: 2 }, seed: 7 })).toMatchObject({ made: 0 })
  })

  it('keeps two patients of one Series Instance UID apart, and takes one of two copies of a series', async () => {
    writeScan(join(scans, 'b'), { patientId: 'P2', seriesUid: '1.2.1', ball: { ...BALL, x: 70 } })
    const { manifest } = await prepare({
      split: { kind: 'fractions', fractions: { train: 1, val: 0, test: 0 } },
    })
    const twins = manifest.scans.filter((scan) => scan.seriesInstanceUid === '1.2.1')
    expect(twins.map((scan) => scan.patientId).sort()).toEqual(['P1', 'P2'])
    const { entries } = readList(join(output, 'train.json'))
    const images = entries.map((entry) => entry.image_path)
    expect(new Set(images).size).toBe(images.length)
    expect(images.filter((image) => !existsSync(join(output, image)))).toEqual([])
    expect(readdirSync(join(output, 'scans'))).toHaveLength(4)
  })

  it.each([
    ['患者一', '患者二'],
    ['a b', 'a_b'],
    [`${'9.'.repeat(60)}1`, `${'9.'.repeat(60)}2`],
    ['.', '_.'],
  ])('names files of %s and %s differently', (one, other) => {
    expect(fileName(one)).not.toBe(fileName(other))
    for (const name of [fileName(one), fileName(other)]) expect(name).toMatch(/^[\w-][\w.-]{0,110}$/)
  })

  it('does a scan again whose frames a run with other options has written over in part', async () => {
    await prepare()
    const before = contents(output)
    const frames = readdirSync(join(output, 'frames')).filter((file) => file.startsWith('P1_1.2.1'))
    const last = join(output, 'frames', frames.at(-1)!)
    const whole = readFileSync(last)
    rmSync(last)
    mkdirSync(last)
    await expect(prepare({ boxes: { minReaders: 2 } })).rejects.toMatchObject({ code: 'FILE' })
    rmSync(last, { recursive: true })
    writeFileSync(last, whole)
    expect((await prepare()).made).toBeGreaterThan(0)
    expect(contents(output)).toEqual(before)
  })

  it('does a scan again whose record is damaged', async () => {
    await prepare()
    const before = contents(output)
    const folder = join(output, 'scans')
    const damages: [string, unknown][] = [
      ...[null, [null], {}].map((value): [string, unknown] => ['nodules', value]),
      ...[null, [null], [{ image_path: 'a.png' }]].map((value): [string, unknown] => ['entries', value]),
      ...(['slices', 'frames', 'warnings', 'damaged'] as const).map((key): [string, unknown] => [key, 'x']),
    ]
    const [name] = readdirSync(folder)
    const path = join(folder, name!)
    const record = JSON.parse(readFileSync(path, 'utf8')) as object
    for (const [key, value] of damages) {
      writeFileSync(path, JSON.stringify({ ...record, [key]: value }))
      expect((await prepare()).unchanged).toBe(3)
      expect(contents(output)).toEqual(before)
    }
  })

  it('goes on after an interruption as if there had been none', async () => {
    const stop = new AbortController()
    const interrupted = prepare({
      jobs: 1,
      signal: stop.signal,
      onProgress: (done) => (done === 2 ? stop.abort() : undefined),
    })
    await expect(interrupted).rejects.toThrow(/stopped after 2 of 4 scans; run it again/)
    await expect(interrupted).rejects.toMatchObject({ code: 'INTERRUPTED' })
    expect(await prepare()).toMatchObject({ made: 2, unchanged: 2 })
    const resumed = contents(output)
    output = mkdtempSync(join(root, 'output-'))
    await prepare()
    expect([...resumed.keys()]).toEqual([...contents(output).keys()])
    expect(resumed).toEqual(contents(output))
  })

  it('leaves out what cannot be read, with the reason, and prepares the rest', async () => {
    truncateSync(join(scans, 'a/y/3.dcm'), 5000)
    writeFileSync(
      join(scans, 'c/annotations.xml'),
      readFileSync(join(scans, 'c/annotations.xml')).subarray(0, 3000),
    )
    rmSync(join(scans, 'b/annotations.xml'))
    writeFileSync(join(scans, 'b/other.xml'), '<settings/>')
    const warnings: string[] = []
    const result = await prepare({ onWarning: (warning) => warnings.push(warning) })
    const { manifest } = result
    expect(manifest.scans.map((scan) => scan.seriesInstanceUid)).toContain('1.2.1')
    expect(manifest.skipped).toMatchObject([{ seriesInstanceUid: '1.2.3', reason: 'no LIDC XML file' }])
    expect(manifest.failed.map((item) => item.seriesInstanceUid)).toContain('1.2.4')
    expect(manifest.damaged).toMatchObject([{ path: join(scans, 'a/y/3.dcm') }])
    expect(warnings).toContain(`1 XML file is no LIDC annotations, first ${join(scans, 'b/other.xml')}`)
    expect(warnings.join('\n')).toContain('3.dcm')
    expect(warnings.join('\n')).toContain('annotations.xml')
    expect(preparedTable(output, result, [])).toMatch(/failed .*c: /)
  })

  it('tells of another reading of a series that lies farther from its slices', async () => {
    const folder = mkdtempSync(join(root, 'corrected-'))
    const [own, corrected] = [join(scans, 'c/annotations.xml'), join(folder, 'c.xml')]
    copyFileSync(own, join(folder, 'copy.xml'))
    writeFileSync(corrected, `${readFileSync(own, 'utf8')}\n`)
    const warnings: string[] = []
    await prepare({ annotations: [folder], onWarning: (warning) => warnings.push(warning) })
    expect(warnings).toContain(
      `1 XML file of series whose slices have a nearer one is not used, first ${corrected}`,
    )
  })

  it('a file that is gone by its turn costs its scan only, also where the inputs lie in the output folder', async () => {
    const inputs = [join(output, 'raw')]
    renameSync(scans, inputs[0]!)
    const gone = join(inputs[0]!, 'c/3.dcm')
    const { manifest, made } = await prepare({
      inputs,
      onProgress: (done) => (done === 1 ? rmSync(gone) : undefined),
    })
    expect(made).toBe(3)
    expect(manifest.failed.map(({ error }) => error)).toEqual([
      `${gone}: cannot read: no such file or folder`,
    ])
    rmSync(join(output, 'frames'), { recursive: true })
    writeFileSync(join(output, 'frames'), '')
    await expect(prepare({ inputs })).rejects.toThrow(/frames.*: cannot write: /)
  })

  it('draws a ratio of negatives, removes frames that are no longer wanted, pads boxes', async () => {
    await prepare()
    expect(readdirSync(join(output, 'frames'))).toHaveLength(96)
    const { manifest } = await prepare({
      slices: { kind: 'ratio', negatives: 2 },
      boxes: { padBoxPx: 32 },
    })
    expect(manifest.scans.map((scan) => scan.frames)).toEqual([15, 15, 0, 0])
    expect(readdirSync(join(output, 'frames'))).toHaveLength(30)
    const entries = manifest.lists.flatMap(({ file }) => readList(join(output, file)).entries)
    const rects = entries.flatMap((entry) => entry.rects)
    expect(rects).toHaveLength(10)
    for (const rect of rects) expect(rect.x2 - rect.x1).toBeGreaterThan(19)
  })

  it('makes folds, and removes the lists of the split before', async () => {
    await prepare()
    const { manifest } = await prepare({ split: splitRule('', 2, undefined) })
    expect(manifest.lists.map(({ file, patients }) => [file, patients])).toEqual([
      ['fold-0.json', 2],
      ['fold-0-train.json', 1],
      ['fold-1.json', 1],
      ['fold-1-train.json', 2],
    ])
    expect(readdirSync(output).sort()).toEqual([
      'fold-0-train.json',
      'fold-0.json',
      'fold-1-train.json',
      'fold-1.json',
      'frames',
      'manifest.json',
      'scans',
    ])
  })

  it.each([1, 2])('ends at once where results cannot be written, in %d threads', async (jobs) => {
    // A file in the place of the folder of frames: as with a full disk, no scan could be prepared.
    writeFileSync(join(output, 'frames'), '')
    const warnings: string[] = []
    await expect(prepare({ jobs, onWarning: (warning) => void warnings.push(warning) })).rejects.toThrow(
      /frames.*: cannot (write|make)/,
    )
    expect(warnings.filter((text) => text.includes('left out'))).toEqual([])
    expect(readdirSync(output)).toEqual(['frames'])
  })

  it('warns of lists that came out empty, not of parts that nobody asked for', async () => {
    const warnings: string[] = []
    const onWarning = (warning: string): void => void warnings.push(warning)
    await prepare({ split: splitRule('', 4, undefined), onWarning })
    expect(warnings.filter((text) => text.includes('empty'))).toEqual([
      'fold-3.json is empty: there are too few patients for this split',
    ])
    warnings.length = 0
    await prepare({ split: splitRule('1,0,0', undefined, undefined), onWarning })
    expect(warnings.filter((text) => text.includes('empty'))).toEqual([])
  })

  it('writes frames of HU that give the same batches', async () => {
    const read = async (encoding: 'gray8' | 'hu16') => {
      await prepare({ encoding, output: join(output, encoding) })
      const list = readList(join(output, encoding, 'train.json'))
      const read: Batch[] = []
      for await (const batch of batches(list, hypes, { shuffle: false, passes: 1 })) read.push(batch)
      return read
    }
    const gray = await read('gray8')
    const hu = await read('hu16')
    expect(hu.length).toBe(gray.length)
    for (const [i, batch] of hu.entries()) {
      expect(batch.boxes).toEqual(gray[i]!.boxes)
      const difference = batch.frames.reduce(
        (most, v, n) => Math.max(most, Math.abs(v - gray[i]!.frames[n]!)),
        0,
      )
      expect(difference).toBeLessThanOrEqual(1)
    }
  })

  it('draws sheets', async () => {
    const { manifest } = await prepare()
    const sheets = await drawDataset(output, manifest, 14)
    expect(sheets.map((path) => path.slice(output.length))).toEqual([
      '/check/sheet-01.png',
      '/check/sheet-02.png',
    ])
    expect(await readImage(sheets[0]!)).toMatchObject({ width: 3 * 192, height: 4 * 128 })
  })

  it('leaves out thick slices on demand', async () => {
    const thick = prepare({ maxThicknessMm: 2.5 })
    await expect(thick).rejects.toThrow(/received 4 series, 4 XML files \(slices of more than 2.5 mm\)/)
    expect(await prepare({ maxThicknessMm: 5 })).toMatchObject({ made: 4 })
  })

  it('says what is missing', async () => {
    await expect(prepare({ inputs: [join(scans, 'none')] })).rejects.toThrow(
      /none: cannot read: no such file or folder/,
    )
    mkdirSync(join(scans, 'empty'))
    const empty = prepare({ inputs: [join(scans, 'empty')] })
    await expect(empty).rejects.toBeInstanceOf(NoduleError)
    await expect(empty).rejects.toThrow(
      /nothing to prepare: expected CT series with LIDC XML files but received 0 series/,
    )
    await expect(prepare({ boxes: { minReaders: 0 } })).rejects.toThrow(/for minReaders/)
    await expect(prepare({ jobs: 0 })).rejects.toThrow(/for jobs/)
  })
})
