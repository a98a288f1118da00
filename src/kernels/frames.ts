import { checkInteger, checkNumber, invalidParameter } from '../check.js'
import { type Device, chooseDevice, runKernel, runKernelSync } from './addon.js'
import { checkArray, checkIntegers, checked, overlap } from './arrays.js'
import { type HuBatch, prepareHu } from './hu.js'
import { type FrameTaps, type FramesWork, framesReference } from './reference/frames.js'

/** Slices (stored values to rescale, or HU as they are) and how to make frames of them. */
export interface FramesInput {
  /** One view per slice, [rows, columns], all of the same type; read in place. */
  slices: HuBatch['slices']
  rows: number
  columns: number
  /** Rescale Slope and Intercept per slice. Default 1 and 0: the slices are HU already. */
  slope?: ArrayLike<number> | undefined
  intercept?: ArrayLike<number> | undefined
  /** Stored values in [low, high] become -1000 HU. */
  padding?: { low: number; high: number } | undefined
  /** Taps of the frame's columns and rows (`frameTaps` of src/dataset). */
  x: FrameTaps
  y: FrameTaps
  /** What becomes 0 and what becomes 255, HU. */
  window: { low: number; high: number }
  /** HU of frame pixels outside the image. Default -1000. */
  outside?: number | undefined
  /** [frames * channels]: which slice is which channel of which frame. Default: each slice is a frame of one channel. */
  sources?: ArrayLike<number> | undefined
  /** Channels of a frame. Default 3 with `sources`, else 1. */
  channels?: number | undefined
  /** Default 'NCHW'. */
  layout?: 'NCHW' | 'NHWC' | undefined
  /** float32 output is gray * factor + offset. Default 1 / 127.5 and -1: [-1, 1]. */
  normalize?: { factor: number; offset: number } | undefined
  /** Written and returned when given. */
  out?: Uint8Array | Float32Array | undefined
}

export interface FramesOptions {
  /** Default: the type of `out`, else 'uint8'. */
  output?: 'uint8' | 'float32' | undefined
  /** Default 'auto'. */
  device?: Device | undefined
}

const MAX_ELEMENTS = 2 ** 31

function checkTaps(name: string, taps: FrameTaps, inputs: number): FrameTaps {
  const { first, count, weights, width } = taps
  checkInteger(`${name}.width`, width, 0, 2 ** 20)
  checkArray(`${name}.first`, first, [Int32Array])
  checkInteger(`${name}.first.length`, first.length, 0, 16384)
  checkArray(`${name}.count`, count, [Int32Array], first.length)
  checkArray(`${name}.weights`, weights, [Float64Array], first.length * width)
  let previous = 0
  for (let u = 0; u < first.length; u++) {
    const begin = first[u] as number
    if (begin < 0) continue
    const taps = count[u] as number
    if (!(begin >= previous && begin < inputs))
      checkInteger(`${name}.first[${u}]`, begin, previous, inputs - 1)
    if (!(taps >= 1 && taps <= width && begin + taps <= inputs))
      checkInteger(`${name}.count[${u}]`, taps, 1, Math.min(width, inputs - begin))
    previous = begin
  }
  return taps
}

function prepare(input: FramesInput, options: FramesOptions): FramesWork & { device: string } {
  const { slices, out, window } = input
  const rows = checkInteger('rows', input.rows, 0, 2 ** 20)
  const columns = checkInteger('columns', input.columns, 0, 2 ** 20)
  const count = Array.isArray(slices) ? slices.length : 0
  const hu = prepareHu({
    slices,
    slope: input.slope ?? new Float32Array(count).fill(1),
    intercept: input.intercept ?? new Float32Array(count),
    padding: input.padding,
  })
  if (count > 0 && slices[0]?.length !== rows * columns)
    throw invalidParameter('slices[0]', `array of ${rows} * ${columns} pixels`, slices[0])
  const x = checkTaps('x', input.x, columns)
  const y = checkTaps('y', input.y, rows)
  const sources = Int32Array.from(input.sources ?? Array.from(slices.keys()))
  const channels = checkInteger(
    'channels',
    input.channels ?? (input.sources === undefined ? 1 : 3),
    1,
    2 ** 16,
  )
  if (sources.length % channels !== 0)
    throw invalidParameter('sources', `a multiple of ${channels} slice indices`, input.sources)
  checkIntegers('sources', sources, 0, count - 1)
  const layout = input.layout ?? 'NCHW'
  if (layout !== 'NCHW' && layout !== 'NHWC') throw invalidParameter('layout', "'NCHW' or 'NHWC'", layout)
  checkNumber('window.low', window.low, -32768, 32767)
  checkNumber('window.high', window.high, -32768, 32767)
  if (!(window.high > window.low))
    throw invalidParameter('window.high', `number above ${window.low}`, window.high)
  const { factor, offset } = input.normalize ?? { factor: 1 / 127.5, offset: -1 }
  const kind = options.output ?? (out instanceof Float32Array ? 'float32' : 'uint8')
  if (kind !== 'uint8' && kind !== 'float32') throw invalidParameter('output', "'uint8' or 'float32'", kind)
  const Output = kind === 'uint8' ? Uint8Array : Float32Array
  const length = sources.length * x.first.length * y.first.length
  if (length > MAX_ELEMENTS) throw invalidParameter('sources', 'at most 2^31 elements of output', length)
  if (out !== undefined) {
    checkArray<Uint8Array | Float32Array>('out', out, [Output], length)
    if (slices.some((slice) => overlap(slice, out)))
      throw invalidParameter('out', 'buffer that shares no bytes with the slices', out)
  }
  return {
    ...hu,
    rows,
    columns,
    x,
    y,
    sources,
    channels,
    nchw: layout === 'NCHW',
    outside: checkNumber('outside', input.outside ?? -1000, -32768, 32767),
    windowLow: window.low,
    windowScale: 255 / (window.high - window.low),
    factor: checkNumber('normalize.factor', factor, -1e6, 1e6),
    offset: checkNumber('normalize.offset', offset, -1e6, 1e6),
    output: out ?? new Output(length),
    device: chooseDevice(options.device),
  }
}

/**
 * Slices -> network input in one pass: HU (int16, as `huConvert` makes it), resampling into the frame, window to gray
 * levels 0..255 (rounded half up), neighbors as channels. Within one gray level of the reference on every device.
 * Runs off the event loop; leave the buffers alone until it is done.
 *
 * @returns [frames, channels, height, width] or, for 'NHWC', [frames, height, width, channels]: `input.out` when given.
 * @throws NoduleError INVALID_PARAMETER, UNAVAILABLE
 */
export async function renderFrames(
  input: FramesInput,
  options: FramesOptions = {},
): Promise<Uint8Array | Float32Array> {
  const work = checked('input', input, () => prepare(input, options))
  if (work.device === 'reference') framesReference(work)
  else await runKernel('frames', work)
  return work.output
}

/** `renderFrames` on the calling thread (and the kernels' pool): returns when it is done. */
export function renderFramesSync(input: FramesInput, options: FramesOptions = {}): Uint8Array | Float32Array {
  const work = checked('input', input, () => prepare(input, options))
  if (work.device === 'reference') framesReference(work)
  else runKernelSync('frames', work)
  return work.output
}
