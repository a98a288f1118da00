import { copyFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readList } from '../../src/dataset/index.js'
import { writePng } from '../../src/formats/index.js'
import { detectList, openSession } from '../../src/inference/index.js'
import type { Session } from '../../src/inference/index.js'
import { modelFolder, smallHypes } from './small_model.js'

let folder: string
let session: Session

beforeAll(async () => {
  const made = await modelFolder()
  folder = made.folder
  session = await openSession(made.model, { device: 'cpu', threads: 1 })
  const { image_width: width, image_height: height } = smallHypes
  // One smooth picture in two sizes.
  const picture = (scale: number): { width: number; height: number; data: Uint8Array } => {
    const columns = width * scale
    const data = Uint8Array.from({ length: columns * height * scale * 3 }, (_, index) => {
      const x = ((Math.floor(index / 3) % columns) + 0.5) / scale
      const y = (Math.floor(index / 3 / columns) + 0.5) / scale
      return 128 + 60 * Math.sin(x / 9 + (index % 3)) + 60 * Math.cos(y / 7)
    })
    return { width: columns, height: height * scale, data }
  }
  await writePng(join(folder, 'a.png'), picture(1))
  await writePng(join(folder, 'twice.png'), picture(2))
})

afterAll(async () => {
  await session.release()
  await rm(folder, { recursive: true })
})

async function run(entries: unknown[], overlays?: string): ReturnType<typeof detectList> {
  await writeFile(join(folder, 'list.json'), JSON.stringify(entries))
  return detectList(join(folder, 'list.json'), session, join(folder, 'out.json'), {
    parameters: { stitch: 'greedy', minScore: 0, overlap: 0.3 },
    ...(overlays === undefined ? {} : { overlays }),
  })
}

describe('detectList', () => {
  test('frames of other channels than the model takes: names the model and what to do, once', async () => {
    const list = join(folder, 'list.json')
    const other = { image_path: 'a.png', rects: [], nodule: { encoding: 'gray8', channels: 5 } }
    const notes: unknown[] = []
    const detect = async (entries: object[]): ReturnType<typeof detectList> => {
      await writeFile(list, JSON.stringify(entries))
      return detectList(list, session, join(folder, 'out.json'), { onNote: (note) => notes.push(note) })
    }
    const told = (images: string): string =>
      `${images} another number of channels than ${session.path} takes: expected data.channels = 3 but received 5; ` +
      "possible solutions: prepare the list with the model's hypes"
    await expect(detect([other, { ...other, image_path: 'twice.png' }])).rejects.toThrow(
      `${list}: /0: ${told('2 of 2 frames have')}`,
    )
    expect(notes).toEqual([])
    const fits = { image_path: 'twice.png', rects: [] }
    const { entries, failed } = await detect([fits, other, other, { ...fits, image_path: 'a.png' }])
    expect([entries.map((one) => one.image_path), failed]).toEqual([['twice.png', 'a.png'], 2])
    expect(notes).toEqual([{ failed: true, place: list, message: `/1: ${told('2 of 4 frames have')}` }])
  })

  test.each(['out.json.gz', 'out.al', 'out.IDL'])(
    'refuses the output %s, which is not read as JSON',
    async (name) => {
      await writeFile(join(folder, 'list.json'), '[]')
      await expect(detectList(join(folder, 'list.json'), session, join(folder, name))).rejects.toMatchObject({
        ...{ code: 'UNSUPPORTED', path: join(folder, name), expected: 'a name that ends with .json' },
      })
      expect(await readdir(folder)).not.toContain(name)
    },
  )

  test('keeps paths and other keys, replaces the boxes', async () => {
    const truth = [{ x1: 1, y1: 2, x2: 3, y2: 4 }]
    const result = await run([{ image_path: 'a.png', rects: truth, extra: { kept: true } }])
    expect(result).toMatchObject({ failed: 0, interrupted: false })
    const { entries } = readList(join(folder, 'out.json'))
    expect(entries).toHaveLength(1)
    expect(entries[0]).toMatchObject({ image_path: 'a.png', extra: { kept: true } })
    expect(entries[0]!.rects.length).toBe(result.boxes)
    for (const { x1, y1, x2, y2, score } of entries[0]!.rects) {
      expect(Math.min(x1, y1, 96 - x2, 64 - y2)).toBeGreaterThanOrEqual(0)
      expect(score).toBeGreaterThanOrEqual(0)
    }
  })

  test('an image of another size is resized, and its boxes are in its own pixels', async () => {
    const { entries } = await run([
      { image_path: 'a.png', rects: [] },
      { image_path: 'twice.png', rects: [] },
    ])
    const [once, twice] = entries
    expect(twice!.rects.length).toBe(once!.rects.length)
    for (const [index, { x1, score }] of twice!.rects.entries()) {
      expect(x1 / 2).toBeCloseTo(once!.rects[index]!.x1, 0)
      expect(score).toBeCloseTo(once!.rects[index]!.score!, 1)
    }
  })

  test('pictures of the images, with found and true boxes; those of an earlier run go', async () => {
    const overlays = join(folder, 'out-overlays')
    await mkdir(overlays)
    for (const name of ['0009-old.webp', 'mine.webp']) await writeFile(join(overlays, name), '')
    const truth = [{ x1: 10, y1: 20, x2: 60, y2: 40 }]
    const { entries } = await run(
      [
        { image_path: 'a.png', rects: [] },
        { image_path: 'twice.png', rects: truth },
      ],
      overlays,
    )
    const first = entries[0]!.rects.length > 0 ? ['0001-a.webp'] : []
    expect(await readdir(overlays)).toEqual([...first, '0002-twice.webp', 'mine.webp'])
    const picture = sharp(join(overlays, '0002-twice.webp'))
    expect(await picture.metadata()).toMatchObject({ format: 'webp', width: 512, height: 341 })
    // The lower edge of the true box, in 512 / 192 picture pixels of one of the image.
    const pixels = await picture.raw().toBuffer()
    const greens = Array.from({ length: 100 }, (_, n) => {
      const at = (Math.round((40 * 512) / 192) * 512 + 40 + n) * 3
      return pixels[at + 1]! - Math.max(pixels[at]!, pixels[at + 2]!)
    })
    expect(greens.filter((green) => green > 30).length).toBeGreaterThan(50)
  })

  test('a picture of an image whose name is as long as a name can be', async () => {
    const name = `${'n'.repeat(251)}.png`
    await copyFile(join(folder, 'a.png'), join(folder, name))
    const overlays = join(folder, 'long-overlays')
    await run([{ image_path: name, rects: [{ x1: 10, y1: 20, x2: 60, y2: 40 }] }], overlays)
    expect(await readdir(overlays)).toEqual([`0001-${'n'.repeat(240)}.webp`])
  })

  test('an image that cannot be read is counted and left out', async () => {
    const problems: string[] = []
    await writeFile(
      join(folder, 'list.json'),
      JSON.stringify(['none.png', 'a.png'].map((image_path) => ({ image_path, rects: [] }))),
    )
    const result = await detectList(join(folder, 'list.json'), session, join(folder, 'out.json'), {
      onNote: ({ failed, place, message }) => problems.push(`${failed}: ${place}: ${message}`),
    })
    expect(result.failed).toBe(1)
    expect(result.entries.map(({ image_path: path }) => path)).toEqual(['a.png'])
    expect(problems).toEqual([`true: ${join(folder, 'none.png')}: cannot read image: no such file or folder`])
  })

  test('where no image can be used, that is the error, and an earlier list and its pictures stay', async () => {
    const overlays = join(folder, 'out-overlays')
    await mkdir(overlays, { recursive: true })
    await writeFile(join(overlays, '0009-old.webp'), '')
    await writeFile(join(folder, 'out.json'), 'of an earlier run')
    const none = ['none.png', 'neither.png'].map((image_path) => ({ image_path, rects: [] }))
    await expect(run(none, overlays)).rejects.toMatchObject({
      code: 'FORMAT',
      message:
        `${join(folder, 'list.json')}: no image of the list can be used: expected at least one but received ` +
        `2 failures, first ${join(folder, 'none.png')}: cannot read image: no such file or folder`,
    })
    expect(await readFile(join(folder, 'out.json'), 'utf8')).toBe('of an earlier run')
    expect(await readdir(overlays)).toContain('0009-old.webp')
  })

  test('an empty list gives an empty list; an aborted run writes nothing', async () => {
    await run([])
    expect(JSON.parse(await readFile(join(folder, 'out.json'), 'utf8'))).toEqual([])
    await run([{ image_path: 'a.png', rects: [] }])
    const before = await readFile(join(folder, 'out.json'), 'utf8')
    const result = await detectList(join(folder, 'list.json'), session, join(folder, 'out.json'), {
      signal: AbortSignal.abort(),
    })
    expect(result.interrupted).toBe(true)
    expect(await readFile(join(folder, 'out.json'), 'utf8')).toBe(before)
  })
})
