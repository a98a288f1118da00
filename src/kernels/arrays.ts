/** Checks of arrays that go to the kernels. */
import { checkInteger, invalidParameter } from '../check.js'

/** A typed array that can be checked before a kernel gets it. */
interface AnyArray {
  readonly length: number
  readonly byteLength: number
  readonly buffer: ArrayBufferLike
}

/** Whether the array's buffer has been transferred away (its length then reads 0). */
function isDetached(array: AnyArray): boolean {
  const buffer = array.buffer as ArrayBuffer & { detached?: boolean }
  if (buffer.detached !== undefined) return buffer.detached
  if (buffer.byteLength !== 0) return false
  // Before Node 22: a new view on a detached buffer throws.
  try {
    return new Uint8Array(buffer).length !== 0
  } catch {
    return true
  }
}

/**
 * Throws INVALID_PARAMETER unless `value` is an instance of one of `types` with this length (any, when undefined) and
 * is not detached.
 */
export function checkArray<T extends AnyArray>(
  name: string,
  value: unknown,
  types: readonly (new () => T)[],
  length?: number,
): T {
  // The words are made for the error only: making them for each call would cost more than some kernels.
  const described = (more: string): string => types.map((type) => type.name).join(' or ') + more
  if (!types.some((type) => value instanceof type)) throw invalidParameter(name, described(''), value)
  const array = value as T
  if (isDetached(array)) throw invalidParameter(name, described(' that is not detached'), value)
  // Shrunk while a kernel works on it, its memory would be gone.
  if ((array.buffer as { resizable?: boolean }).resizable === true)
    throw invalidParameter(name, described(' of a buffer that is not resizable'), value)
  if (length !== undefined && array.length !== length)
    throw invalidParameter(name, described(` of length ${length}`), value)
  return array
}

/**
 * Runs the checks of a kernel's input. What they stumble over in an input that is no object, or lacks one that it should
 * hold, is the caller's error.
 */
export function checked<T>(name: string, value: unknown, check: () => T): T {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw invalidParameter(name, 'object with all that it should hold', value).with({ cause: error })
  }
}

/** Whether two views share bytes. */
export function overlap(a: ArrayBufferView, b: ArrayBufferView): boolean {
  return (
    a.buffer === b.buffer &&
    a.byteOffset < b.byteOffset + b.byteLength &&
    b.byteOffset < a.byteOffset + a.byteLength
  )
}

/** Copies finite numbers to float32; throws INVALID_PARAMETER on another length or on what is not finite. */
export function toFloats(
  name: string,
  values: ArrayLike<number>,
  low: number,
  high: number = low,
): Float32Array {
  const count = (values as ArrayLike<number> | undefined)?.length
  if (typeof values !== 'object' || count === undefined || !(count >= low && count <= high))
    throw invalidParameter(name, low === high ? `${low} numbers` : `${low} to ${high} numbers`, values)
  const floats = new Float32Array(count)
  for (let i = 0; i < count; i++) {
    const value = values[i]
    if (typeof value !== 'number' || !Number.isFinite(Math.fround(value)))
      throw invalidParameter(`${name}[${i}]`, 'finite number (float32)', value)
    floats[i] = value
  }
  return floats
}

/** Throws INVALID_PARAMETER at the first element of [from, to) that is NaN, infinite or beyond 1e100. */
export function checkFinite(
  name: string,
  values: Float32Array | Float64Array,
  from: number,
  to: number,
): void {
  for (let i = from; i < to; i++) {
    const value = values[i] as number
    if (!(Math.abs(value) <= 1e100)) throw invalidParameter(`${name}[${i}]`, 'finite number', value)
  }
}

/** Throws INVALID_PARAMETER at the first element that is not an integer within [low, high]. */
export function checkIntegers(name: string, values: Int32Array, low: number, high: number): void {
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number
    // The name is made for the error only: making it for each element would cost more than the kernel.
    if (!(value >= low && value <= high)) checkInteger(`${name}[${i}]`, value, low, high)
  }
}
