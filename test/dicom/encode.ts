import { createRequire } from 'node:module'
import type * as Codecs from 'dcmjs-codecs'

const { Context, NativeCodecs } = createRequire(import.meta.url)('dcmjs-codecs') as typeof Codecs

export type Encoder = 'encodeJpeg' | 'encodeJpegLs' | 'encodeJpeg2000' | 'encodeHtJpeg2000'

/** To be called once before `encodeGray`. */
export async function startCodecs(): Promise<void> {
  if (!NativeCodecs.isInitialized()) await NativeCodecs.initializeAsync()
}

/** A square image of 16-bit words, of which `bits` bits count, without loss. */
export function encodeGray(encoder: Encoder, side: number, words: Uint16Array, bits = 16): Buffer {
  const context = new Context({
    width: side,
    height: side,
    bitsAllocated: 16,
    bitsStored: bits,
    samplesPerPixel: 1,
    pixelRepresentation: 0,
    planarConfiguration: 0,
    photometricInterpretation: 'MONOCHROME2',
    decodedBuffer: new Uint8Array(words.buffer),
  })
  return Buffer.from(NativeCodecs[encoder](context, { lossy: false }).getEncodedBuffer()!)
}
