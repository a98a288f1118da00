import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeFrame } from '../../src/formats/images.js'
import { detectList } from '../../src/inference/index.js'
import { diskSession } from './disk_session.js'
import { tileHypes } from './tile_hypes.js'

describe('detectList with data.mm_per_pixel', () => {
  let folder: string
  beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'nodule-tiles-'))))
  afterAll(async () => rm(folder, { recursive: true }))

  test('images of any size are tiled, boxes are in their pixels', async () => {
    const session = diskSession(tileHypes({ channels: 5 }))
    const sizes = [
      [330, 230],
      [96, 64],
      [40, 30],
    ] as const
    const entries = []
    for (const [width, height] of sizes) {
      // Planes one below the other; a disk in the middle one, and a decoy beside it in the first.
      const data = new Uint8Array(width * height * 5)
      const disk = (plane: number, cx: number, cy: number, r: number): void => {
        for (let y = 0; y < height; y++)
          for (let x = 0; x < width; x++)
            if (Math.hypot(x + 0.5 - cx, y + 0.5 - cy) < r) data[(plane * height + y) * width + x] = 200
      }
      disk(2, width - 12, height - 10, 8)
      disk(2, 12, 9, 5)
      disk(0, 20, 20, 5)
      const name = `${width}.png`
      await writeFile(join(folder, name), await encodeFrame({ width, height, channels: 5, data }))
      entries.push({ image_path: name, rects: [], nodule: { channels: 5 } })
    }
    await writeFile(join(folder, 'list.json'), JSON.stringify(entries))
    const result = await detectList(join(folder, 'list.json'), session, join(folder, 'out.json'))
    expect(result).toMatchObject({ failed: 0, boxes: 6 })
    for (const [n, [width, height]] of sizes.entries()) {
      const rects = [...result.entries[n]!.rects].sort((a, b) => a.x1 - b.x1)
      expect(rects.map(({ x1, y1, x2, y2 }) => [x1, y1, x2, y2])).toEqual([
        [7, 4, 17, 14],
        [width - 20, height - 18, width - 4, height - 2],
      ])
    }
  })
})
