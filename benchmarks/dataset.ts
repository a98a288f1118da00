/** Frames: rendering, jitter and reading, against libvips (by sharp) doing the same. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { encodePng, readImage, writePng } from '../src/formats/index.js'
import { renderPlane } from '../src/dataset/index.js'
import { drawJitter, jitterFrame } from '../src/dataset/jitter.js'
import { createRandom } from '../src/random.js'
import { makeRow, measureTogether } from './measure.js'
import type { Row, Subject, SubjectOptions } from './types.js'

const name = 'dataset'
const WIDTH = 352
const HEIGHT = 256
const SIDE = 512
const SLICES = 32

/** Smooth noise in the range of CT, seeded. */
function slices(): Int16Array {
  const random = createRandom(1)
  const data = new Int16Array(SLICES * SIDE * SIDE)
  for (let i = 0; i < data.length; i++) data[i] = (data[i - 1] ?? 0) * 0.9 + (random.uniform() - 0.55) * 600
  return data
}

async function render({ seconds }: SubjectOptions): Promise<Row[]> {
  const data = slices()
  const volume = { data, shape: [SLICES, SIDE, SIDE] as const }
  // A frame of the whole width: 512 columns to 352.
  const scale = WIDTH / SIDE
  const rows = HEIGHT / scale
  const top = Math.floor((SIDE - rows) / 2)
  const mapping = { originX: 0, originY: top, scale, frameWidth: WIDTH, frameHeight: HEIGHT }
  const gray = new Uint8Array(WIDTH * HEIGHT)
  const stored = Uint16Array.from(data.subarray(0, SIDE * SIDE), (value) => value + 1024)
  let k = 0
  const timing = await measureTogether(
    {
      ours: () => renderPlane(volume, k++ % SLICES, mapping, { low: -1000, high: 400 }, gray),
      vips: () =>
        sharp(stored, { raw: { width: SIDE, height: SIDE, channels: 1 } })
          .toColorspace('grey16')
          .extract({ left: 0, top, width: SIDE, height: Math.round(rows) })
          .resize(WIDTH, HEIGHT, { kernel: 'linear', fit: 'fill' })
          .raw({ depth: 'ushort' })
          .toBuffer(),
    },
    seconds,
  )
  return [
    makeRow(
      name,
      'render a slice, 512x512 HU to 352x256 gray',
      timing.ours,
      'libvips, without the window',
      timing.vips.ms,
    ),
  ]
}

async function frames({ seconds }: SubjectOptions): Promise<Row[]> {
  const data = new Uint8Array(WIDTH * HEIGHT * 3)
  const hu = slices()
  for (let i = 0; i < data.length; i++) data[i] = (hu[i]! + 1000) / 6
  const image = { width: WIDTH, height: HEIGHT, data }
  const jitter = { ...drawJitter(createRandom(1)), mirror: false }
  const out = new Float32Array(data.length)
  const moved = await measureTogether(
    {
      ours: () => jitterFrame(data, WIDTH, HEIGHT, jitter, 0, out),
      vips: () =>
        sharp(data, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
          .affine(
            [
              [jitter.scale, 0],
              [0, jitter.scale],
            ],
            {
              interpolator: 'bilinear',
              odx: jitter.shiftX,
              ody: jitter.shiftY,
            },
          )
          .raw()
          .toBuffer(),
    },
    seconds,
  )
  const folder = mkdtempSync(join(tmpdir(), 'nodule-bench-'))
  try {
    const path = join(folder, 'frame.png')
    await writePng(path, image)
    const read = await measureTogether(
      {
        ours: () => readImage(path),
        vips: () => sharp(readFileSync(path)).raw().toBuffer(),
        encode: () => encodePng(image),
      },
      seconds,
    )
    return [
      makeRow(name, 'jitter a frame', moved.ours, 'libvips affine', moved.vips.ms),
      makeRow(name, 'read a frame (PNG)', read.ours, 'libvips', read.vips.ms),
      makeRow(name, 'encode a frame (PNG)', read.encode, 'none', null),
    ]
  } finally {
    rmSync(folder, { recursive: true })
  }
}

export const subject: Subject = {
  describe: 'Frames: rendering, jitter, PNG',
  run: async (options) => [...(await render(options)), ...(await frames(options))],
}
