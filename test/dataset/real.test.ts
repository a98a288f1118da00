import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { prepareDataset, readList } from '../../src/dataset/index.js'
import { readImage } from '../../src/formats/index.js'
import { frameToImage } from '../../src/geometry/frame.js'
import { realData } from '../real_data.js'

const scan = realData('lidc-idri-0001')

describe.skipIf(scan === undefined)('LIDC-IDRI-0001', () => {
  const output = mkdtempSync(join(tmpdir(), 'nodule-real-'))
  afterAll(() => rmSync(output, { recursive: true }))

  it('becomes eight frames with the nodule in its box, and as many without', async () => {
    const { manifest } = await prepareDataset({
      inputs: [scan!],
      output,
      hypes: parseHypes({}),
      split: { kind: 'fractions', fractions: { train: 1, val: 0, test: 0 } },
      jobs: 1,
    })
    expect(manifest.damaged).toEqual([])
    expect(manifest.scans).toMatchObject([
      { patientId: 'LIDC-IDRI-0001', slices: 133, frames: 16, boxes: 8, nodules: 1, warnings: [] },
    ])
    const { entries } = readList(join(output, 'train.json'))
    const withBox = entries.filter((entry) => entry.rects.length > 0)
    expect(withBox.map((entry) => entry.nodule!.k)).toEqual([86, 87, 88, 89, 90, 91, 92, 93])
    for (const entry of withBox) {
      const { mapping } = entry.nodule!
      const [rect] = entry.rects
      // The consensus of the four readers lies here; outlines are on whole pixels.
      const box = frameToImage(mapping, rect!)
      for (const value of [box.x1, box.y1, box.x2, box.y2])
        expect(Math.abs(value - Math.round(value))).toBeLessThan(1e-9)
      expect(box.x1).toBeGreaterThan(290)
      expect(box.x2).toBeLessThan(345)
      expect(box.y1).toBeGreaterThan(335)
      expect(box.y2).toBeLessThan(390)
      // The lungs fill the frame.
      expect(mapping.scale).toBeGreaterThan(0.8)
      if (entry.nodule!.k < 88 || entry.nodule!.k > 92) continue
      const image = await readImage(join(output, entry.image_path))
      const [x, y] = [Math.round((rect!.x1 + rect!.x2) / 2), Math.round((rect!.y1 + rect!.y2) / 2)]
      expect(image.data[(y * image.width + x) * 3 + 1]).toBeGreaterThan(150)
    }
  })
})
