import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { LidcReading } from '../../src/annotations/index.js'
import { writeLidcXml } from '../../src/annotations/writer.js'
import { parseHypes } from '../../src/config/hypes.js'
import { DEFAULT_BOX_RULE, prepareDataset, readList } from '../../src/dataset/index.js'
import type { PrepareOptions } from '../../src/dataset/index.js'
import { readPlanes } from '../../src/formats/images.js'
import { stackFindings } from '../../src/dataset/prepare/stacks.js'
import { ownNodule } from '../../src/dataset/stacks/own_nodule.js'
import { readStackIndex } from '../../src/dataset/stacks/read_index.js'
import { readStack } from '../../src/dataset/stacks/read_stack.js'
import { NoduleError } from '../../src/errors.js'
import { frameToImage } from '../../src/geometry/frame.js'
import { CENTER, HEAD, OFFSET, SCALE, makeStack, writeStacks } from './stack_files.js'

const hypes = parseHypes({
  ...{ image_width: 96, image_height: 96, grid_width: 3, grid_height: 3 },
  data: { mm_per_pixel: 0.5, channels: 5, neighbor_mm: 2.5, window_low_hu: -1000, window_high_hu: 400 },
})

let root: string
let folder: string
let output: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'nodule-stacks-'))
})
afterAll(() => rmSync(root, { recursive: true }))
beforeEach(() => {
  folder = mkdtempSync(join(root, 'stacks-'))
  output = mkdtempSync(join(root, 'output-'))
})

/** Changes one cell of index.csv; line 2 is the first stack's first slice. */
function setCell(line: number, column: string, value: string): void {
  const path = join(folder, 'index.csv')
  const lines = readFileSync(path, 'utf8').split('\r\n')
  const cells = lines[line - 1]!.split(',')
  cells[HEAD.split(',').indexOf(column)] = value
  lines[line - 1] = cells.join(',')
  writeFileSync(path, lines.join('\r\n'))
}

const prepare = (more: Partial<PrepareOptions> = {}) =>
  prepareDataset({ inputs: [], stacks: folder, output, hypes, jobs: 1, ...more })

describe('readStackIndex and readStack', () => {
  it('gives HU, readers, and the place in the scan', async () => {
    const made = makeStack({ patient: 'P1' })
    await writeStacks(folder, [{ patient: 'P1' }])
    const [entry] = readStackIndex(folder).stacks
    const { volume, readers } = await readStack(folder, entry!)
    expect(volume.shape).toEqual([5, 128, 128])
    expect(volume.data).toEqual(Int16Array.from(made.gray, (gray) => gray * SCALE + OFFSET))
    expect(readers).toEqual(made.readers)
    expect(volume.geometry.slicePositions).toEqual([0, 2.5, 5, 7.5, 10])
    expect(volume.geometry.origin).toEqual([200 * 0.7, 150 * 0.7, -105])
    expect(volume.geometry.spacing).toEqual([2.5, 0.7, 0.7])
  })

  it.each([
    ['pixel_spacing', '0', 'line 2: wrong pixel_spacing: expected mm above 0 but received "0"'],
    ['slice_spacing', 'NaN', 'line 2: wrong slice_spacing: expected mm above 0 but received "NaN"'],
    ['z_of_anchor', '', 'line 2: wrong z_of_anchor: expected number but received ""'],
    [
      'steps_from_anchor',
      '1e9',
      'line 2: wrong steps_from_anchor: expected integer between -65536 and 65536',
    ],
    ['x0', '1.5', 'line 2: wrong x0: expected whole pixels but received "1.5"'],
    ['patient', '../P1', 'line 2: wrong patient: expected 1 to 64 letters'],
  ])('names what is wrong in %s and keeps the other stacks', async (column, value, message) => {
    await writeStacks(folder, [{ patient: 'P1', slices: 1 }, { patient: 'P2' }])
    setCell(2, column, value)
    const { stacks, problems } = readStackIndex(folder)
    expect(stacks.map((entry) => entry.patientId)).toEqual(['P2'])
    expect(problems).toHaveLength(1)
    expect(problems[0]!.reason).toContain(message)
  })

  it('finds rows that are double, missing, cut off or of two series', async () => {
    await writeStacks(folder, [{ patient: 'P1' }, { patient: 'P2' }, { patient: 'P3' }, { patient: 'P4' }])
    setCell(3, 'row', '0')
    setCell(8, 'series', '1.9')
    setCell(13, 'offset', '1,2')
    setCell(18, 'steps_from_anchor', '-2')
    const { stacks, problems } = readStackIndex(folder)
    expect(stacks).toEqual([])
    expect(problems.map((problem) => problem.reason)).toEqual([
      'line 13: wrong row: expected 16 cells but received 17',
      'line 3: wrong row: expected 1: the rows of a stack in order, each once but received "0"',
      'line 8: wrong series: expected "1.2.2" as in line 7 but received "1.9"',
      'line 14: wrong row: expected 1: the rows of a stack in order, each once but received "2"',
      'line 18: wrong steps_from_anchor: expected more than in line 17 but received "-2"',
    ])
  })

  it('says that there is no index, or that columns are missing', () => {
    expect(() => readStackIndex(folder)).toThrow(NoduleError)
    expect(() => readStackIndex(folder)).toThrow('index.csv: cannot read stacks: no such file or folder')
    writeFileSync(join(folder, 'index.csv'), `${HEAD.replace('x0,y0,', '')}\n`)
    expect(() => readStackIndex(folder)).toThrow('line 1: columns are missing: expected x0, y0')
  })

  it('refuses pictures that are missing, broken, of another size or without a reader', async () => {
    await writeStacks(folder, [{ patient: 'P1' }])
    const [entry] = readStackIndex(folder).stacks
    const stem = join(folder, 'stacks', 'P1_nodule-0')
    const fails = (message: string) =>
      expect(readStack(folder, entry!)).rejects.toThrow(
        expect.objectContaining({ name: 'NoduleError', message: expect.stringContaining(message) as string }),
      )
    const raw = { width: 128, height: 5 * 128, channels: 1 } as const
    writeFileSync(
      `${stem}_readers.png`,
      await sharp(new Uint8Array(5 * 128 * 128), { raw })
        .png()
        .toBuffer(),
    )
    await fails('P1_nodule-0_readers.png: no reader outlined anything: expected 1 to 16 readers')
    writeFileSync(
      `${stem}_readers.png`,
      await sharp(new Uint8Array(128 * 128), { raw: { ...raw, height: 128 } })
        .png()
        .toBuffer(),
    )
    await fails('expected 128 x 640 (5 slices) but received 128 x 128')
    writeFileSync(`${stem}.webp`, 'no picture')
    await fails('P1_nodule-0.webp: not a picture that can be read')
    rmSync(`${stem}.webp`)
    await fails('P1_nodule-0.webp: cannot read stack: no such file or folder')
  })
})

describe('stackFindings', () => {
  it('a mark of the series far beyond any scan is none of the stack, and takes no memory', async () => {
    await writeStacks(folder, [{ patient: 'P1' }])
    const stack = await readStack(folder, readStackIndex(folder).stacks[0]!)
    const rule = { ...DEFAULT_BOX_RULE, minReaders: 1 }
    const point = (z: number) => ({ id: `at ${z}`, sopInstanceUid: '', z, x: 260, y: 210 })
    const reading = (heights: readonly number[]): LidcReading => ({
      ...{ kind: 'ct', path: 'a.xml', seriesInstanceUid: '1.2.1', studyInstanceUid: '', warnings: [] },
      sessions: [{ readerId: '', nodules: [], smallNodules: [], nonNodules: heights.map(point) }],
    })
    const near = stackFindings(stack, reading([-100, -300]), rule)
    expect(near.findings.filter(({ nonNodule }) => nonNodule)).not.toEqual([])
    for (const far of [1e11, -1e300, 2e6])
      expect(stackFindings(stack, reading([-100, -300, far]), rule)).toEqual(near)
  })
})

describe('prepareDataset with stacks', () => {
  it('makes a frame of each slice with the consensus in its box', async () => {
    await writeStacks(folder, [
      { patient: 'P1' },
      { patient: 'P2', readers: 3 },
      { patient: 'P3', readers: 2 },
    ])
    const { manifest } = await prepare({ split: { kind: 'folds', folds: 2 } })
    expect(manifest.failed).toEqual([])
    const entries = ['fold-0.json', 'fold-1.json'].flatMap((file) => readList(join(output, file)).entries)
    expect(entries).toHaveLength(15)
    const index = readStackIndex(folder)
    for (const { rects, nodule, image_path: image } of entries) {
      const source = nodule!
      expect(source).toMatchObject({ origin: 'stack', stack: 'nodule-0', channels: 5 })
      const stack = await readStack(
        folder,
        index.stacks.find((s) => s.patientId === source.patientId)!,
      )
      const inside: number[] = []
      stack.readers.subarray(source.k * 16384, (source.k + 1) * 16384).forEach((count, at) => {
        if (count >= 2) inside.push(at)
      })
      const xs = inside.map((at) => at % 128)
      const ys = inside.map((at) => Math.floor(at / 128))
      const expected = [Math.min(...xs), Math.min(...ys), Math.max(...xs) + 1, Math.max(...ys) + 1]
      const accepted = source.patientId !== 'P3'
      const boxes = accepted ? rects : source.excluded
      expect([rects.length, source.excluded.length]).toEqual(accepted ? [1, 0] : [0, 1])
      const { x1, y1, x2, y2 } = frameToImage(source.mapping, boxes[0]!)
      // Two readers' outlines of P3 count from one reader on: two pixels more on each side.
      const grow = accepted ? 0 : 2
      ;[x1 + grow, y1 + grow, x2 - grow, y2 - grow].forEach((value, n) =>
        expect(value).toBeCloseTo(expected[n]!, 6),
      )
      const frame = await readPlanes(join(output, image), 5, 'gray8', { low: 0, high: 1 })
      expect([frame.width, frame.height]).toEqual([source.mapping.frameWidth, source.mapping.frameHeight])
      expect(frame.width).toBe(Math.ceil((128 * 0.7) / 0.5))
      // The middle channel is bright where the nodule is.
      const at = (x: number, y: number): number =>
        frame.data[(Math.round(y * 1.4) * frame.width + Math.round(x * 1.4)) * 5 + 2]!
      expect(at(CENTER.x, CENTER.y)).toBeGreaterThan(150)
      expect(at(CENTER.x + 20, CENTER.y)).toBeLessThan(60)
    }
    const again = await prepare({ split: { kind: 'folds', folds: 2 } })
    expect([again.made, again.unchanged]).toEqual([0, 3])
  })

  it('places the other marks of the series, and its own nodule only once', async () => {
    await writeStacks(folder, [{ patient: 'P1', series: '1.2.77' }])
    const xml = join(root, 'xml')
    mkdirSync(xml, { recursive: true })
    const ring = (x: number, y: number, z: number, r: number) => ({
      ...{ sopInstanceUid: `1.5.${z}`, z, inclusion: true },
      points: Array.from({ length: 24 }, (_, n) => ({
        x: Math.round(x + r * Math.cos((n * Math.PI) / 12)),
        y: Math.round(y + r * Math.sin((n * Math.PI) / 12)),
      })),
    })
    const own = [-105, -102.5, -100, -97.5, -95].map((z) => ring(200 + CENTER.x, 150 + CENTER.y, z, 7))
    const far = { sopInstanceUid: '1.6', z: -99.2, x: 200 + 30, y: 150 + 110 }
    await writeLidcXml(join(xml, 'a.xml'), {
      ...{ studyInstanceUid: '1.2', seriesInstanceUid: '1.2.77' },
      sessions: [0, 1, 2, 3].map((reader) => ({
        readerId: `r${reader}`,
        nodules: [
          { id: 'own', contours: own },
          // Three readers see a second nodule of 8 mm on one slice, a fourth one that lies beside the stack.
          ...(reader < 3 ? [{ id: 'b', contours: [ring(200 + 100, 150 + 20, -100, 6)] }] : []),
          { id: 'c', contours: [ring(20, 20, -100, 6)] },
        ],
        smallNodules: reader === 0 ? [{ id: 's', ...far }] : [],
        nonNodules: reader === 1 ? [{ id: 'n', ...far, x: 200 + 10 }] : [],
      })),
    })
    const { manifest } = await prepare({ annotations: [xml], split: { kind: 'folds', folds: 2 } })
    expect(manifest.failed).toEqual([])
    const entries = manifest.lists.flatMap(({ file }) =>
      /^fold-\d\.json$/.test(file) ? readList(join(output, file)).entries : [],
    )
    expect(entries.map((entry) => entry.nodule!.nodules)).toEqual([
      ['nodule-0'],
      ['nodule-0'],
      ['nodule-0', 'xml-1'].map((id) => (id === 'nodule-0' ? id : expect.stringMatching(/^xml-\d$/))),
      ['nodule-0'],
      ['nodule-0'],
    ])
    const { rects, nodule } = entries[2]!
    const second = frameToImage(nodule!.mapping, rects[1]!)
    // Pixels on the line itself count on one side only.
    expect(Math.abs((second.x1 + second.x2) / 2 - 100.5)).toBeLessThan(1)
    expect(Math.abs((second.y1 + second.y2) / 2 - 20.5)).toBeLessThan(1)
    expect(nodule!.measures![1]).toMatchObject({ readers: 3 })
    // Points lie on the slice nearest to them, -100, and a ball of 5 mm reaches no other one.
    const points = nodule!.excluded.map((box) => frameToImage(nodule!.mapping, box))
    expect(points).toHaveLength(2)
    expect((points[0]!.x1 + points[0]!.x2) / 2).toBeCloseTo(30.5, 6)
    expect((points[0]!.x2 - points[0]!.x1) * 0.7).toBeCloseTo(3, 6)
    expect((points[1]!.x2 - points[1]!.x1) * 0.7).toBeCloseTo(5, 6)
    expect(entries[0]!.nodule!.excluded).toEqual([])
  })

  it('goes on without the stacks that are bad, and tells which', async () => {
    await writeStacks(folder, [
      { patient: 'P1' },
      { patient: 'P1', nodule: 'nodule-1' },
      { patient: 'P2', sliceSpacing: '' },
      { patient: 'P3', pixelSpacing: 0 },
      { patient: 'P4' },
    ])
    rmSync(join(folder, 'stacks', 'P1_nodule-1.webp'))
    const warnings: string[] = []
    const { manifest } = await prepare({
      split: { kind: 'folds', folds: 2 },
      onWarning: (warning) => warnings.push(warning),
    })
    expect(manifest.scans.map((scan) => [scan.patientId, scan.frames])).toEqual([
      ['P1', 5],
      ['P4', 5],
    ])
    expect(manifest.skipped).toEqual([
      { seriesInstanceUid: '1.2.2', folder: `${folder}: P2 nodule-0`, reason: 'stack without slice_spacing' },
    ])
    expect(manifest.damaged.map((file) => file.reason)).toEqual([
      'line 17: wrong pixel_spacing: expected mm above 0 but received "0"',
      'cannot read stack: no such file or folder',
    ])
    expect(warnings.join('\n')).toContain('1 of 4 stacks have no slice_spacing: left out')
  })

  it.each([
    ['unread', { unread: true }],
    ['maxThicknessMm', { maxThicknessMm: 2.5 }],
  ])('alone refuse %s, which is about scans', async (name, options) => {
    await expect(prepare(options)).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      message: `the option has no effect here (${name}): expected folders of scans but received stacks alone`,
    })
  })

  it('needs a fixed scale', async () => {
    await writeStacks(folder, [{ patient: 'P1' }])
    await expect(prepare({ hypes: parseHypes({}) })).rejects.toThrow(
      'Expected number above 0 for frames of stacks for data.mm_per_pixel but received 0',
    )
  })
})

describe('ownNodule', () => {
  it('measures the consensus from edge to edge, and marks slices without one', async () => {
    await writeStacks(folder, [{ patient: 'P1', slices: 3, radius: 6 }])
    const stack = await readStack(folder, readStackIndex(folder).stacks[0]!)
    // The third slice: only one reader.
    for (let n = 2 * 16384; n < 3 * 16384; n++) stack.readers[n] = Math.min(1, stack.readers[n]!)
    const own = ownNodule(stack)
    expect(own).toMatchObject({ readers: 4, agreement: 2 })
    expect(own.axialDiameterMm).toBeCloseTo(13 * 0.7, 6)
    expect(own.boxes.map(({ k, agreed }) => [k, agreed])).toEqual([
      [0, true],
      [1, true],
      [2, false],
    ])
    expect(own.boxes[1]!.box).toEqual({ x1: 54, y1: 60, x2: 67, y2: 73 })
  })
})

describe('nodules put into stacks', () => {
  // A host thick enough, a thin stack, and donors small enough to have slices above and below them.
  const small = { slices: 3, radius: 3, sliceSpacing: 2 }
  const all = [
    { patient: 'P1', slices: 9 },
    { patient: 'P2', slices: 3 },
    { patient: 'P3', ...small },
    { patient: 'P4', ...small },
  ]
  const insertion = () => ({ stacks: folder, count: 2, variants: 2 })
  const split = { kind: 'fractions', fractions: { train: 1, val: 0, test: 0 } } as const

  it('makes copies of thick stacks, of the slices that show what was put in', async () => {
    await writeStacks(folder, all)
    const { manifest } = await prepare({ insertion: insertion(), split })
    const { entries } = readList(join(output, 'train.json'))
    const copies = entries.filter(({ nodule }) => nodule!.origin === 'insertion')
    expect(new Set(copies.map(({ nodule }) => nodule!.patientId))).toEqual(new Set(['P1']))
    expect(new Set(copies.map(({ nodule }) => nodule!.variant))).toEqual(new Set([0, 1]))
    expect(manifest.failed).toEqual([])
    for (const { rects, nodule } of copies) {
      const inserted = nodule!.nodules.map((id) => id.startsWith('insertion-'))
      expect(inserted).toContain(true)
      rects.forEach((rect, n) => expect(rect['origin']).toBe(inserted[n] === true ? undefined : 'stack'))
      for (const { donorPatientId } of nodule!.measures!.filter((_, n) => inserted[n]))
        expect(['P2', 'P3', 'P4']).toContain(donorPatientId)
    }
    // The other stacks are there as they are.
    expect(entries.filter(({ nodule }) => nodule!.origin === 'stack')).toHaveLength(9 + 3 + 3 + 3)
    // What was put in is bright in the frame, and was not in the stack's own.
    const { image_path: image, rects, nodule } = copies[0]!
    const own = entries.find(
      (entry) =>
        entry.nodule!.origin === 'stack' && entry.nodule!.k === nodule!.k && entry.nodule!.patientId === 'P1',
    )!
    const at = nodule!.nodules.findIndex((id) => id.startsWith('insertion-'))
    const { x1, x2, y1, y2 } = rects[at]!
    const gray = async (path: string): Promise<number> => {
      const window = { low: -1000, high: 400 }
      const { data, width } = await readPlanes(join(output, path), 5, 'gray8', window)
      return data[(Math.floor((y1 + y2) / 2) * width + Math.floor((x1 + x2) / 2)) * 5 + 2]!
    }
    expect(await gray(image)).toBeGreaterThan((await gray(own.image_path)) + 50)
  })

  it('tells where there is nothing to put nodules into', async () => {
    await writeStacks(folder, all.slice(1))
    const warnings: string[] = []
    await prepare({ insertion: insertion(), split, onWarning: (warning) => warnings.push(warning) })
    expect(warnings).toContain(
      `${folder}: no nodule is put in: there is neither a scan nor a thick stack to take it`,
    )
  })

  it('changes nothing when it is run again, and does the copies again for other ones', async () => {
    await writeStacks(folder, all)
    await prepare({ insertion: insertion(), split })
    expect(await prepare({ insertion: insertion(), split })).toMatchObject({ made: 0, unchanged: 5 })
    const more = { ...insertion(), variants: 3 }
    expect(await prepare({ insertion: more, split })).toMatchObject({ made: 1, unchanged: 4 })
  })
})
