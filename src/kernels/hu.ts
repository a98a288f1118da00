import { checkInteger, checkNumber, invalidParameter } from '../check.js'
import { type Device, chooseDevice, runKernel, runKernelSync } from './addon.js'
import { checkArray, checked, overlap, toFloats } from './arrays.js'
import { type HuWork, type StoredArray, huReference } from './reference/hu.js'

/** Stored values of a scan's slices and how to rescale them. */
export interface HuBatch {
  /** One view per slice, all of the same type and length; they are read in place. */
  slices: readonly StoredArray[]
  /** Rescale Slope (0028,1053) per slice; used as float32. */
  slope: ArrayLike<number>
  /** Rescale Intercept (0028,1052) per slice; used as float32. */
  intercept: ArrayLike<number>
  /** Stored values in [low, high] are padding: they become -1000 HU (air). */
  padding?: { low: number; high: number } | undefined
  /** HU are clamped to [low, high], after padding; whole numbers for int16. Default [-32768, 32767]. */
  clamp?: readonly [number, number] | undefined
  /** Written and returned when given: slices * pixels elements of the output type. Must not be a view of the slices. */
  out?: Int16Array | Float32Array | undefined
}

export interface HuOptions {
  /** Default: the type of `out`, else 'int16'. */
  output?: 'int16' | 'float32' | undefined
  /** Default 'auto'. */
  device?: Device | undefined
}

/** Checks the slices and how they are rescaled; clamps to int16. */
export function prepareHu(
  batch: Omit<HuBatch, 'clamp' | 'out'>,
): Omit<HuWork, 'output'> & { pixels: number } {
  const { slices } = batch
  if (!Array.isArray(slices)) throw invalidParameter('slices', 'array of typed arrays', slices)
  let type: new () => StoredArray = Int16Array
  let pixels = 0
  for (const [i, slice] of (slices as readonly StoredArray[]).entries()) {
    if (i === 0) {
      checkArray('slices[0]', slice, [Int16Array, Uint16Array, Uint8Array] as (new () => StoredArray)[])
      type =
        slice instanceof Int16Array ? Int16Array : slice instanceof Uint16Array ? Uint16Array : Uint8Array
      pixels = slice.length
    } else checkArray(`slices[${i}]`, slice, [type], pixels)
  }
  const padding = batch.padding ?? { low: 1, high: 0 }
  if (batch.padding !== undefined) {
    checkInteger('padding.low', padding.low, -65536, 65536)
    checkInteger('padding.high', padding.high, padding.low, 65536)
  }
  return {
    slices,
    pixels,
    slope: toFloats('slope', batch.slope, slices.length),
    intercept: toFloats('intercept', batch.intercept, slices.length),
    paddingLow: padding.low,
    paddingHigh: padding.high,
    clampLow: -32768,
    clampHigh: 32767,
  }
}

function prepare(batch: HuBatch, options: HuOptions): HuWork & { device: string } {
  const work = prepareHu(batch)
  const { out } = batch
  const kind = options.output ?? (out instanceof Float32Array ? 'float32' : 'int16')
  if (kind !== 'int16' && kind !== 'float32') throw invalidParameter('output', "'int16' or 'float32'", kind)
  const [low, high] = batch.clamp ?? [-32768, 32767]
  if (kind === 'int16') {
    checkInteger('clamp[0]', low, -32768, 32767)
    checkInteger('clamp[1]', high, low, 32767)
  } else {
    checkNumber('clamp[0]', low, -3e38, 3e38)
    checkNumber('clamp[1]', high, low, 3e38)
  }
  const Output = kind === 'int16' ? Int16Array : Float32Array
  const length = work.slices.length * work.pixels
  if (out !== undefined) {
    checkArray<Int16Array | Float32Array>('out', out, [Output], length)
    if (work.slices.some((slice) => overlap(slice, out)))
      throw invalidParameter('out', 'buffer that shares no bytes with the slices', out)
  }
  return {
    ...work,
    clampLow: low,
    clampHigh: high,
    output: out ?? new Output(length),
    device: chooseDevice(options.device),
  }
}

/**
 * Converts stored CT values to Hounsfield units:
 * float32(float32(stored * slope) + intercept), padding -> -1000, clamped; for int16 rounded to nearest, half away from
 * zero. The same bits on every device. Runs off the event loop; leave the buffers alone until it is done.
 *
 * @returns [slices, pixels], Int16Array or Float32Array: `batch.out` when given.
 * @throws NoduleError INVALID_PARAMETER, UNAVAILABLE
 */
export async function huConvert(batch: HuBatch, options: HuOptions = {}): Promise<Int16Array | Float32Array> {
  const work = checked('batch', batch, () => prepare(batch, options))
  if (work.device === 'reference') huReference(work)
  else await runKernel('hu', work)
  return work.output
}

/** `huConvert` on the calling thread (and the kernels' pool): returns when it is done. */
export function huConvertSync(batch: HuBatch, options: HuOptions = {}): Int16Array | Float32Array {
  const work = checked('batch', batch, () => prepare(batch, options))
  if (work.device === 'reference') huReference(work)
  else runKernelSync('hu', work)
  return work.output
}
