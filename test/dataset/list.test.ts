import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkImages, imageFile, parseList, readList, writeList } from '../../src/dataset/index.js'
import { skipMissing } from '../../src/dataset/check_images.js'
import type { ListEntry } from '../../src/dataset/index.js'
import { readLists } from '../../src/dataset/list.js'
import { NoduleError } from '../../src/errors.js'
import { pairImages } from '../../src/evaluation/index.js'
import { caught } from '../caught.js'

let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-list-'))
  const image = sharp({ create: { width: 40, height: 30, channels: 3, background: '#456' } })
  await image.png().toFile(join(folder, 'a.png'))
  await image.jpeg().toFile(join(folder, 'b.jpg'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function written(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const entry = (rects: unknown, image = 'a.png') => JSON.stringify([{ image_path: image, rects }])

describe('readList', () => {
  it('reads the reference, keeps other keys, finds images by relative, absolute and Windows paths', () => {
    const path = written(
      'good.json',
      JSON.stringify([
        { image_path: '../lung/12.bmp', rects: [{ x1: 1, y1: 2, x2: 33.5, y2: 34, classID: 1 }], note: 'x' },
        { image_path: '/data/13.bmp', rects: [] },
        { image_path: 'sub\\14.bmp', rects: [] },
      ]),
    )
    const list = readList(path)
    expect(list.warnings).toEqual([])
    expect(list.entries[0]).toEqual({
      image_path: '../lung/12.bmp',
      rects: [{ x1: 1, y1: 2, x2: 33.5, y2: 34, classID: 1 }],
      note: 'x',
    })
    expect(list.entries.map((item) => imageFile(list, item))).toEqual([
      join(folder, '../lung/12.bmp'),
      '/data/13.bmp',
      join(folder, 'sub/14.bmp'),
    ])
  })

  it('keeps ids and measures beside their boxes where a box is dropped', () => {
    const box = { x1: 1, y1: 2, x2: 3, y2: 4 }
    const measures = [4, 5, 6].map((axialDiameterMm) => ({ readers: 4, axialDiameterMm }))
    const nodule = { k: 1, nodules: ['1', '2', '3'], measures }
    const list = parseList([{ image_path: 'a', rects: [box, { ...box, x2: 1 }, box], nodule }], 'l.json')
    expect(list.entries[0]!.nodule).toEqual({
      k: 1,
      nodules: ['1', '3'],
      measures: [measures[0], measures[2]],
    })
    const old = parseList([{ image_path: 'a', rects: [box], nodule: { nodules: ['1'] } }], 'l.json')
    expect(old.entries[0]!.nodule!.measures).toBeUndefined()
  })

  it('what may be absent of a frame may be null; other keys stay', () => {
    const nodule = { z: null, positionMm: null, mapping: null, hard: null, stack: null, k: 0, mine: null }
    const list = parseList([{ image_path: 'a', rects: [], nodule }], 'l.json')
    expect(list.entries[0]!.nodule).toEqual({ k: 0, mine: null })
    expect(nodule.z).toBeNull()
  })

  it('turns boxes back and drops flat ones, with counts', () => {
    const list = parseList(
      [
        {
          image_path: 'a',
          rects: [
            { x1: 9, y1: 2, x2: 3, y2: 8 },
            { x1: 1, y1: 1, x2: 1, y2: 5 },
          ],
        },
      ],
      'l.json',
    )
    expect(list.entries[0]!.rects).toEqual([{ x1: 3, y1: 2, x2: 9, y2: 8 }])
    expect(list.warnings).toEqual([
      'l.json: 1 box turned inside out was turned back',
      'l.json: 1 box without an area was dropped',
    ])
  })

  it.each([
    ['{"a": 1}', '', 'array of images'],
    ['[3]', '/0', 'object with'],
    ['[{"rects": []}]', '/0/image_path', 'path of an image'],
    ['[{"image_path": "a.png"}]', '/0/rects', 'array of boxes'],
    [entry([{ x1: 1, y1: 2, x2: 3, y2: 4 }, 7]), '/0/rects/1', 'object with'],
    [entry([{ x1: 1, y1: 2, y2: 4 }]), '/0/rects/0/x2', 'finite number'],
    [entry([{ x1: '1', y1: 2, x2: 3, y2: 4 }]), '/0/rects/0/x1', 'finite number'],
    [entry([{ x1: 1, y1: 2, x2: 3, y2: 4, score: null }]), '/0/rects/0/score', 'finite number'],
    [
      '[{"image_path": "a.png", "rects": [{"x1": 1, "y1": -Infinity, "x2": 3, "y2": 4}]}]',
      '/0/rects/0/y1',
      'finite',
    ],
    [
      '[{"image_path": "a.png", "rects": [{"x1": NaN, "y1": 1, "x2": 3, "y2": 4}]}]',
      '/0/rects/0/x1',
      'finite',
    ],
    ['[{"image_path": "a.png", "rects": []}', '', 'not JSON'],
    ['[{"image_path": "a.png", "rects": [], "nodule": 3}]', '/0/nodule', 'object'],
  ])('refuses %s', (content, place, expected) => {
    const path = written('bad.json', content)
    const error = caught(() => readList(path))
    expect(error).toMatchObject({ code: 'FORMAT', path })
    expect(error.place ?? '').toBe(place)
    expect(error.message).toContain(expected)
    expect(error.message).not.toContain('\n')
  })

  it('names a file that is not there', () => {
    expect(() => readList(join(folder, 'none.json'))).toThrow(/none\.json: cannot read list: no such file/)
  })

  it('never fails but with a NoduleError', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        try {
          parseList(value, 'l.json')
        } catch (error) {
          expect(error).toBeInstanceOf(NoduleError)
        }
      }),
    )
  })
})

describe('writeList', () => {
  it('writes what readList reads', async () => {
    const coordinate = fc.double({ min: -1e4, max: 1e4, noNaN: true }).map((value) => value + 0)
    const size = fc.double({ min: 1e-3, max: 1e4, noNaN: true })
    const rect = fc
      .tuple(coordinate, coordinate, size, size)
      .map(([x1, y1, w, h]) => ({ x1, y1, x2: x1 + w, y2: y1 + h, score: 0.5 }))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(rect, { maxLength: 3 }), { maxLength: 4 }), async (images) => {
        const entries: ListEntry[] = images.map((rects, i) => ({ image_path: `${i}.png`, rects }))
        const path = join(folder, 'round.json')
        await writeList(path, entries)
        expect(readList(path).entries).toEqual(JSON.parse(JSON.stringify(entries)))
      }),
      { numRuns: 30 },
    )
  })

  it('refuses boxes turned inside out and NaN, and writes nothing', async () => {
    const path = join(folder, 'refused.json')
    const bad = (rect: ListEntry['rects'][number]) => writeList(path, [{ image_path: 'a', rects: [rect] }])
    await expect(bad({ x1: 3, y1: 0, x2: 1, y2: 1 })).rejects.toThrow(/\/0\/rects\/0\/x2: .*above x1 = 3/)
    await expect(bad({ x1: Number.NaN, y1: 0, x2: 1, y2: 1 })).rejects.toThrow(/\/0\/rects\/0\/x1/)
    expect(() => readList(path)).toThrow(/no such file/)
  })
})

describe('checkImages', () => {
  it('measures PNG and JPEG, and clips what sticks out by a pixel', async () => {
    const rects = [{ x1: -0.5, y1: 3, x2: 40.5, y2: 30.9 }]
    const list = parseList(
      ['a.png', 'b.jpg'].map((image_path) => ({ image_path, rects })),
      join(folder, 'l.json'),
    )
    const { images, warnings } = await checkImages(list)
    expect(warnings).toEqual([])
    for (const image of images)
      expect(image).toMatchObject({ width: 40, height: 30, rects: [{ x1: 0, y1: 3, x2: 40, y2: 30 }] })
  })

  it('refuses boxes outside, or clips and drops them on demand', async () => {
    const rects = [
      { x1: 30, y1: 3, x2: 50, y2: 20 },
      { x1: 100, y1: 3, x2: 120, y2: 20 },
    ]
    const list = parseList([{ image_path: 'a.png', rects }], join(folder, 'l.json'))
    await expect(checkImages(list)).rejects.toThrow(
      /l\.json: \/0\/rects\/0: box outside the image .*a\.png: expected x from 0 to 40, y from 0 to 30 but received x 30 to 50, y 3 to 20/,
    )
    const { images, warnings } = await checkImages(list, { outside: 'clip' })
    expect(images[0]!.rects).toEqual([{ x1: 30, y1: 3, x2: 40, y2: 20 }])
    expect(warnings[0]).toMatch(/2 boxes were clipped/)
    expect(warnings[1]).toMatch(/1 box lies wholly outside/)
  })

  it('what is wrong with a box is told by its place in the file, behind dropped ones too', async () => {
    const rects = [
      { x1: 3, y1: 3, x2: 3, y2: 9 },
      { x1: 1, y1: 1, x2: 9, y2: 9, score: 0.5 },
      { x1: 4, y1: 4, x2: 4, y2: 9 },
      { x1: 3, y1: 3, x2: 90, y2: 9 },
    ]
    const path = written('dropped.json', JSON.stringify([{ image_path: 'a.png', rects }]))
    for (const list of [readList(path), skipMissing(readLists([path, written('empty.json', '[]')]))])
      await expect(checkImages(list)).rejects.toMatchObject({ path, place: '/0/rects/3' })
    const { entries } = readList(path)
    expect(() => pairImages([{ image_path: 'a.png', rects: [] }], entries)).toThrow(/\/0\/rects\/3\/score/)
  })

  it('counts images that are missing or no images', async () => {
    writeFileSync(join(folder, 'text.png'), 'hello')
    const list = parseList(
      ['a.png', 'none.bmp', 'text.png'].map((image_path) => ({ image_path, rects: [] })),
      join(folder, 'l.json'),
    )
    const error: unknown = await checkImages(list).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(NoduleError)
    expect((error as NoduleError).message).toMatch(
      /l\.json: \/1\/image_path: 2 of 3 images cannot be used: .*none\.bmp: cannot read image: no such file.*; .*text\.png: /,
    )
  })

  it('skips images that are missing on demand, with their names', () => {
    const names = ['a.png', 'none.bmp', 'gone.png', 'b.jpg']
    const list = parseList(
      names.map((image_path) => ({ image_path, rects: [] })),
      join(folder, 'l.json'),
    )
    const { entries, warnings } = skipMissing(list)
    expect(entries.map(({ image_path }) => image_path)).toEqual(['a.png', 'b.jpg'])
    const [none, gone] = ['none.bmp', 'gone.png'].map((name) => join(folder, name))
    expect(warnings).toEqual([`${list.path}: 2 images are missing and skipped: ${none}, ${gone}`])
    const present = { ...list, entries: entries.slice(0, 1) }
    expect(skipMissing(present)).toBe(present)
    expect(() => skipMissing({ ...list, entries: list.entries.slice(1, 3) })).toThrow(
      /l\.json: none of the images is there: expected such as .*none\.bmp/,
    )
  })
})

describe('readLists', () => {
  it('makes one list of several, image paths absolute, each from its own folder', () => {
    mkdirSync(join(folder, 'other'))
    const rect = { x1: 1, y1: 2, x2: 3, y2: 4 }
    const first = written('first.json', entry([rect]))
    const second = written(join('other', 'second.json'), entry([{ ...rect, x2: 1 }], '../b.jpg'))
    const third = written('third.json', entry([], '/data/c.png'))
    const list = readLists([first, second, third])
    expect(list.path).toBe(first)
    expect(list.entries).toEqual([
      { image_path: join(folder, 'a.png'), rects: [rect] },
      { image_path: join(folder, 'b.jpg'), rects: [] },
      { image_path: '/data/c.png', rects: [] },
    ])
    expect(list.warnings).toEqual([`${second}: 1 box without an area was dropped`])
    // One list stays as it is.
    expect(readLists([first])).toEqual(readList(first))
  })

  it('what is wrong with an entry is told by its own file and place in it', async () => {
    const rect = { x1: 1, y1: 2, x2: 3, y2: 4 }
    const file = (name: string, ...entries: string[]): string =>
      written(name, JSON.stringify(entries.flatMap((one) => JSON.parse(one) as object[])))
    const good = file('good2.json', entry([rect]), entry([rect], 'lost.png'))
    const wide = file('wide2.json', entry([], 'none.png'), entry([rect]), entry([{ ...rect, x2: 90 }]))
    const list = skipMissing(readLists([good, wide]))
    const [lost, none] = ['lost.png', 'none.png'].map((name) => join(folder, name))
    expect(list.warnings).toEqual([
      `${good}: 1 image is missing and skipped: ${lost}`,
      `${wide}: 1 image is missing and skipped: ${none}`,
    ])
    await expect(checkImages(list)).rejects.toMatchObject({ path: wide, place: '/2/rects/0' })
    const missing = file('missing2.json', entry([rect]), entry([], 'none.png'))
    const late = checkImages(readLists([file('good3.json', entry([rect])), missing]))
    await expect(late).rejects.toMatchObject({ path: missing, place: '/1/image_path' })
  })

  it('needs a list, and names the one that is wrong', () => {
    expect(() => readLists([])).toThrow(NoduleError)
    expect(() => readLists([])).toThrow(/at least one list for paths/)
    const good = written('good1.json', entry([]))
    const bad = written('bad1.json', '{}')
    expect(() => readLists([good, bad])).toThrow(NoduleError)
    expect(() => readLists([good, bad])).toThrow(/bad1\.json: .*expected array of images/)
  })
})
