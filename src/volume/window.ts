import { checkNumber, invalidParameter } from '../check.js'

/** The usual window of lungs, HU: what becomes black and what becomes white. */
export const lungWindow = [-1350, 150] as const

/**
 * HU to gray levels 0..255: `low` and below is 0, `high` and above is 255, rounded to nearest between.
 *
 * @throws NoduleError INVALID_PARAMETER
 */
export function windowToGray(hu: number, low: number, high: number): number
export function windowToGray(
  hu: ArrayLike<number>,
  low: number,
  high: number,
  out?: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer>
export function windowToGray(
  hu: number | ArrayLike<number>,
  low: number,
  high: number,
  out?: Uint8Array<ArrayBuffer>,
): number | Uint8Array<ArrayBuffer> {
  checkNumber('low', low, -32768, 32767)
  checkNumber('high', high, -32768, 32767)
  if (!(high > low)) throw invalidParameter('high', `number above ${low}`, high)
  const scale = 255 / (high - low)
  if (typeof hu === 'number') return toGray(hu, low, scale)
  const gray = out ?? new Uint8Array(hu.length)
  if (gray.length !== hu.length) throw invalidParameter('out', `array of ${hu.length} elements`, gray)
  for (let n = 0; n < hu.length; n++) gray[n] = toGray(hu[n]!, low, scale)
  return gray
}

function toGray(hu: number, low: number, scale: number): number {
  const level = Math.round((hu - low) * scale)
  return level > 0 ? (level < 255 ? level : 255) : 0
}
