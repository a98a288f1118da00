/**
 * TensorBox's eight hypes files as they are, with checkpoints as slim's are (random weights), in TensorBox's folders:
 * each starts, trains and is exported; and so is every backbone. NODULE_WHOLE=1 trains on the frames that the files name,
 * not on small ones, and takes the deep ResNets too.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadCheckpoint } from '../../src/checkpoints/checkpoint.js'
import { BACKBONE_NAMES } from '../../src/config/backbones.js'
import type { BackboneName } from '../../src/config/backbones.js'
import type { Hypes } from '../../src/config/hypes.js'
import { EXPORT_TOLERANCE, exportOnnx } from '../../src/onnx/index.js'
import { train } from '../../src/training/train.js'
import { formulaFile } from '../weights/formula.js'
import { writeV1 } from '../weights/write_v1.js'
import { TENSORBOX_FILES } from './tensorbox_hypes.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-tensorbox-'))
const before = process.cwd()
const WHOLE = process.env['NODULE_WHOLE'] === '1'
const SMALL = ['image_width=96', 'image_height=64', 'grid_width=3', 'grid_height=2']

/** The variables of slim's checkpoints that are not of the backbone. */
const OTHERS = {
  InceptionV1: ['InceptionV1/Logits/Conv2d_0c_1x1/biases', 'global_step'],
  resnet_v1_101: ['resnet_v1_101/logits/biases', 'resnet_v1_101/mean_rgb'],
}

const VARIABLES = {
  InceptionV1:
    /^.*inception_v1\.ckpt: 2\d\d variables of InceptionV1 from TensorFlow checkpoint \(V1\); 5\d scales of batch norms are 1: the file has none; left over: /,
  resnet_v1_101:
    /^.*resnet_v1_101\.ckpt: 520 variables of resnet_v1_101 from TensorFlow checkpoint \(V1\); left over: resnet_v1_101\/logits\/biases, resnet_v1_101\/mean_rgb$/,
}

beforeAll(async () => {
  // TensorBox runs in its own folder: the files name the lists from there, and the checkpoints lie in its data/.
  process.chdir(root)
  mkdirSync('hypes')
  for (const { name, text, lists } of TENSORBOX_FILES) {
    writeFileSync(join('hypes', `${name}.json`), text)
    for (const list of lists) await writeList(list)
  }
  for (const base of ['InceptionV1', 'resnet_v1_101'] as const) {
    const tensors = []
    for (const { name, shape, read } of formulaFile(base, 'graph', 0.5).tensors.values())
      tensors.push({ name, shape, data: await read() })
    for (const name of OTHERS[base]) tensors.push({ name, shape: [1], data: Float32Array.of(7) })
    writeV1(join('data', base === 'InceptionV1' ? 'inception_v1.ckpt' : 'resnet_v1_101.ckpt'), tensors)
  }
}, 600_000)

afterAll(() => {
  process.chdir(before)
  rmSync(root, { recursive: true, force: true })
})

/** Two frames with a bright square each. */
async function writeList(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true })
  const [width, height] = WHOLE ? [640, 480] : [96, 64]
  const entries = []
  for (const x of [10, 50]) {
    const pixels = Buffer.alloc(width * height * 3, 40)
    for (let y = 20; y < 45; y++) pixels.fill(200, (y * width + x) * 3, (y * width + x + 25) * 3)
    await sharp(pixels, { raw: { width, height, channels: 3 } })
      .png()
      .toFile(join(dirname(path), `${x}.png`))
    entries.push({ image_path: `${x}.png`, rects: [{ x1: x, y1: 20, x2: x + 25, y2: 45 }] })
  }
  writeFileSync(path, JSON.stringify(entries))
}

/** Exports the run's last checkpoint, which verifies it, and says how far the two engines are apart. */
async function exported(checkpoint: string, output: string): Promise<void> {
  const { verification } = await exportOnnx(checkpoint, join(output, 'model.onnx'))
  expect(verification.frames).toBe(2)
  const { boxes, confidences } = verification
  expect(confidences.difference).toBeLessThanOrEqual(EXPORT_TOLERANCE * confidences.scale)
  // A model that says nothing would be exact.
  expect(boxes.scale).toBeGreaterThan(0.01)
}

describe("TensorBox's eight hypes", () => {
  it('are its files, byte for byte as far as their sizes tell', () => {
    for (const { name, text, bytes } of TENSORBOX_FILES) expect([name, text.length]).toEqual([name, bytes])
  })

  it.each(TENSORBOX_FILES)(
    '$name starts with $checkpoint, trains, and is exported',
    async ({ name, base }) => {
      const output = join(root, 'output', name)
      const warnings: string[] = []
      const { step, checkpoint } = await train({
        hypes: join('hypes', `${name}.json`),
        ...(WHOLE ? {} : { set: SMALL }),
        output,
        steps: 2,
        workers: 0,
        onWarning: (warning) => warnings.push(warning),
      })
      expect(step).toBe(2)
      expect(warnings).toHaveLength(2)
      expect(warnings[0]).toMatch(/val(_boxes)?\.json: the test shares 2 of 2 images/)
      expect(warnings[1]).toMatch(VARIABLES[base])
      // The file's weights, two steps on.
      const { tensors } = await loadCheckpoint(checkpoint)
      const first =
        base === 'InceptionV1' ? 'InceptionV1/Conv2d_1a_7x7/weights' : 'resnet_v1_101/conv1/weights'
      const start = await formulaFile(base, 'graph', 0.5).tensors.get(first)!.read()
      const moved = tensors.get(`model/${first}`)!.data.map((value, n) => Math.abs(value - start[n]!))
      const farthest = moved.reduce((a, b) => Math.max(a, b), 0)
      expect(farthest).toBeGreaterThan(0)
      expect(farthest).toBeLessThan(0.003)
      await exported(checkpoint, output)
      rmSync(output, { recursive: true })
    },
    600_000,
  )
})

describe('every backbone', () => {
  // Deeper ones of the same units, half a gigabyte each; resnet_v1_101 is trained above.
  const deep = (name: string): boolean => /^resnet.*(?:101|152)$/.test(name)
  it.each(BACKBONE_NAMES.filter((name) => WHOLE || !deep(name)))(
    '%s trains and is exported',
    backbone,
    600_000,
  )
  it.skipIf(!WHOLE)(
    `the deep ResNets (${BACKBONE_NAMES.filter(deep).join(', ')}): with NODULE_WHOLE=1`,
    () => {
      expect(BACKBONE_NAMES.filter(deep).length).toBe(4)
    },
  )

  async function backbone(slim_basename: BackboneName): Promise<void> {
    const [cell, cells] = slim_basename === 'lung' ? [8, 4] : [32, 2]
    const hypes: Partial<Record<keyof Hypes, unknown>> = {
      ...{ slim_basename, region_size: cell, image_width: cell * cells, image_height: cell * cells },
      ...{ grid_width: cells, grid_height: cells, lstm_size: 8, rnn_len: 1, solver: { opt: 'SGD' } },
    }
    const path = join('hypes', `${slim_basename}.json`)
    writeFileSync(path, JSON.stringify(hypes))
    const output = join(root, 'output', slim_basename)
    const list = TENSORBOX_FILES[0]!.lists[0]!
    const run = await train({ hypes: path, train: list, output, steps: 1, workers: 0 })
    expect(run.last!.loss).toBeGreaterThan(0)
    await exported(run.checkpoint, output)
    rmSync(output, { recursive: true })
  }
})
