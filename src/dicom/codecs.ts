import { createRequire } from 'node:module'
import type { Context as CodecContext, NativeCodecs as Codecs, log as CodecLog } from 'dcmjs-codecs'
import { NoduleError, describeError } from '../errors.js'
import { jpeg2000Size, jpegSize } from './codestream.js'
import type { CodestreamSize } from './codestream.js'
import { endsStream } from './frames.js'
import type { SliceHeader } from './header.js'
import { decodeRle } from './rle.js'
import { COMPRESSED } from './transfer_syntax.js'

type Package = { Context: typeof CodecContext; NativeCodecs: typeof Codecs; log: typeof CodecLog }

const require = createRequire(import.meta.url)

/** The WebAssembly codecs (libjpeg, CharLS, OpenJPEG, OpenJPH), loaded when the first compressed image comes. */
let loading: Promise<Package> | undefined

function loadCodecs(): Promise<Package> {
  loading ??= (async () => {
    const codecs = require('dcmjs-codecs') as Package
    // What goes wrong becomes a NoduleError; the codecs' own lines would stand between those of the program.
    codecs.log.setLevel('silent', false)
    await codecs.NativeCodecs.initializeAsync()
    return codecs
  })()
  return loading
}

/**
 * Decodes one compressed frame to little-endian stored values of the header's depth.
 *
 * @throws NoduleError UNSUPPORTED (an unknown transfer syntax), FORMAT (damaged, or not the announced size)
 */
export async function decodeFrame(bytes: Uint8Array, header: SliceHeader): Promise<Uint8Array> {
  const { path, rows, columns, transferSyntax } = header
  const bytesPerPixel = header.bitsAllocated / 8
  const family = COMPRESSED[transferSyntax]
  if (family === undefined) {
    throw new NoduleError('UNSUPPORTED', 'cannot decode this transfer syntax', {
      path,
      place: '(0002,0010)',
      expected: 'uncompressed, deflated, RLE, JPEG, JPEG-LS, JPEG 2000 or HTJ2K',
      actual: transferSyntax,
    })
  }
  if (family === 'rle') return decodeRle(bytes, rows * columns, bytesPerPixel, path)
  const size = family === 'jpeg2000' || family === 'htj2k' ? jpeg2000Size(bytes) : jpegSize(bytes)
  checkSize(size, header)
  const { Context, NativeCodecs } = await loadCodecs()
  const context = new Context({
    width: columns,
    height: rows,
    bitsAllocated: header.bitsAllocated,
    bitsStored: header.bitsStored,
    samplesPerPixel: 1,
    pixelRepresentation: header.signed ? 1 : 0,
    planarConfiguration: 0,
    photometricInterpretation: header.photometric || 'MONOCHROME2',
    encodedBuffer: family === 'jpegls' ? withEnd(bytes) : bytes,
  })
  let decoded: Uint8Array | undefined
  try {
    decoded = DECODERS[family](NativeCodecs, context).getDecodedBuffer()
  } catch (error) {
    // An error leaves the module's memory as it was in the middle of the work.
    NativeCodecs.release()
    loading = undefined
    throw damaged(header, 'a decodable image', describeError(error))
  }
  const expected = rows * columns * bytesPerPixel
  if (decoded?.length !== expected)
    throw damaged(header, `${expected} bytes`, `${decoded?.length ?? 0} bytes`)
  return decoded
}

/** Where a JPEG-LS stream just stops, CharLS may read on for many seconds: an end marker makes that an error at once. */
function withEnd(bytes: Uint8Array): Uint8Array {
  return endsStream(bytes, 0, bytes.length) ? bytes : Buffer.concat([bytes, Buffer.from([0xff, 0xd9])])
}

const DECODERS = {
  jpeg: (codecs: typeof Codecs, context: CodecContext) => codecs.decodeJpeg(context),
  jpegls: (codecs: typeof Codecs, context: CodecContext) => codecs.decodeJpegLs(context),
  jpeg2000: (codecs: typeof Codecs, context: CodecContext) => codecs.decodeJpeg2000(context),
  htj2k: (codecs: typeof Codecs, context: CodecContext) => codecs.decodeHtJpeg2000(context),
}

/** Compares what the compressed image says of itself with the DICOM header, before any memory is spent. */
function checkSize(size: CodestreamSize | undefined, header: SliceHeader): void {
  if (size === undefined) throw damaged(header, 'a compressed image with a header', 'none')
  const { rows, columns, bitsAllocated } = header
  const same =
    size.width === columns && size.height === rows && size.components === 1 && size.bits <= bitsAllocated
  if (!same) {
    throw damaged(
      header,
      `${columns} x ${rows} pixels, 1 sample of at most ${bitsAllocated} bits`,
      `${size.width} x ${size.height}, ${size.components} of ${size.bits}`,
    )
  }
  if (size.tiles !== undefined && size.tiles > MAX_TILES)
    throw damaged(header, `at most ${MAX_TILES} tiles`, String(size.tiles))
}

/** More tiles than this cost more memory than the image: an attack, not a picture. */
const MAX_TILES = 1024

function damaged(header: SliceHeader, expected: string, actual: string): NoduleError {
  return new NoduleError('FORMAT', 'damaged compressed image', {
    path: header.path,
    place: '(7FE0,0010)',
    expected,
    actual,
  })
}
