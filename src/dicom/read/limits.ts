/** What DICOM files may cost beyond the rule of ../limits.ts. */
import { NoduleError } from '../../errors.js'
import { memoryLimit } from '../../limits.js'
import type { CompressedFamily } from './transfer_syntax.js'

/** Bytes that a deflated data set of a file may have: a quarter of the memory is left for what is made of it. */
export function inflateLimit(size: number): number {
  return Math.floor(0.75 * memoryLimit(size))
}

/** Elements and items of sequences that a file may have: each takes about 1 KB when it is parsed and printed. */
export function elementLimit(size: number): number {
  return 60_000 + Math.floor(size / 256)
}

/** Working memory of the codecs per pixel, bytes, measured; the decoded values (up to 16 bits) are among them. */
const CODEC_BYTES: Readonly<Record<CompressedFamily, number>> = {
  rle: 2,
  jpeg: 5,
  jpegls: 4.5,
  jpeg2000: 13,
  htj2k: 7,
}

/** Bytes that decoding a frame takes at the peak, a lookup table's result included. */
export function decodeCost(family: CompressedFamily, pixels: number, withLut: boolean): number {
  return pixels * (CODEC_BYTES[family] + (withLut ? 2 : 0))
}

/** Counts the elements and items that reading meets, and ends it where there are too many. */
export class ElementBudget {
  private left: number

  constructor(
    private readonly size: number,
    private readonly path: string,
  ) {
    this.left = elementLimit(size)
  }

  /** Throws NoduleError FORMAT where this element, item or fragment is one too many. */
  count(): void {
    if (--this.left >= 0) return
    throw new NoduleError('FORMAT', 'too many elements for a file of this size', {
      path: this.path,
      expected: `at most ${elementLimit(this.size)} elements and items in ${this.size} bytes`,
    })
  }
}
