import { createRequire } from 'node:module'
import type { Context as CodecContext, NativeCodecs as Codecs, log as CodecLog } from 'dcmjs-codecs'
import { NoduleError, describeError } from '../../errors.js'
import { jpeg2000End, jpeg2000Size, jpegSize } from './codestream.js'
import type { CodestreamSize } from './codestream.js'
import { endsStream } from './frames.js'
import type { SliceHeader } from '../read/header.js'
import { decodeRle } from './rle.js'
import { viewValues } from './stored_values.js'
import type { CompressedFamily } from '../read/transfer_syntax.js'

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

/** What decoding a frame depends on. */
export type FrameHeader = Pick<
  SliceHeader,
  'path' | 'rows' | 'columns' | 'bitsAllocated' | 'bitsStored' | 'signed' | 'photometric' | 'transferSyntax'
>

/**
 * Decodes one compressed frame to little-endian stored values of the header's depth.
 *
 * @param family the codec that the codestream asks for; undefined: none is known
 * @throws NoduleError UNSUPPORTED (an unknown transfer syntax), FORMAT (damaged, or not the announced size)
 */
export async function decodeFrame(
  bytes: Uint8Array,
  header: FrameHeader,
  family: CompressedFamily | undefined,
): Promise<Uint8Array> {
  const { path, rows, columns, bitsAllocated } = header
  if (family === undefined) {
    throw new NoduleError('UNSUPPORTED', 'cannot decode this transfer syntax', {
      path,
      place: '(0002,0010)',
      expected: 'uncompressed, deflated, RLE, JPEG, JPEG-LS, JPEG 2000 or HTJ2K',
      actual: header.transferSyntax,
    })
  }
  if (family === 'rle') return decodeRle(bytes, rows * columns, bitsAllocated / 8, path)
  const size = family === 'jpeg2000' || family === 'htj2k' ? jpeg2000Size(bytes) : jpegSize(bytes)
  checkSize(size, header)
  // A stream of 8 bits or fewer decodes to bytes, however many bits are allocated.
  const narrow = size!.bits <= 8 && bitsAllocated === 16
  const decoder = narrow ? { ...header, bitsAllocated: 8, bitsStored: size!.bits } : header
  let failure: unknown
  for (const candidate of candidates(family, bytes)) {
    try {
      const decoded = await decodeWith(family, candidate, decoder)
      // JPEG 2000 knows signs, and writers that forget to say so leave two's complement of the stream's bits.
      const isSigned = size!.signed === true || (header.signed && size!.signed === false)
      if (narrow) return widen(decoded, size!.bits, isSigned)
      if (header.signed && size!.signed === false && size!.bits < bitsAllocated)
        spreadSigns(decoded, size!.bits, bitsAllocated)
      return decoded
    } catch (error) {
      failure ??= error
    }
  }
  throw failure
}

async function decodeWith(
  family: Exclude<CompressedFamily, 'rle'>,
  bytes: Uint8Array,
  header: FrameHeader,
): Promise<Uint8Array> {
  const { rows, columns } = header
  // While this one waited, an image that failed may have let go of the codecs. From here on nothing waits.
  let loaded: Promise<Package>
  let codecs: Package
  do {
    loaded = loadCodecs()
    codecs = await loaded
  } while (loaded !== loading)
  const { Context, NativeCodecs } = codecs
  const context = new Context({
    width: columns,
    height: rows,
    bitsAllocated: header.bitsAllocated,
    bitsStored: header.bitsStored,
    samplesPerPixel: 1,
    pixelRepresentation: header.signed ? 1 : 0,
    planarConfiguration: 0,
    photometricInterpretation: header.photometric || 'MONOCHROME2',
    encodedBuffer: bytes,
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
  const expected = (rows * columns * header.bitsAllocated) / 8
  if (decoded?.length !== expected)
    throw damaged(header, `${expected} bytes`, `${decoded?.length ?? 0} bytes`)
  return decoded
}

/** Spreads the sign of unsigned values that are two's complement of `bits`; little endian, in place. */
function spreadSigns(bytes: Uint8Array, bits: number, bitsAllocated: number): void {
  const values = viewValues(bytes, bitsAllocated, true, false)
  const shift = 32 - bits
  for (let i = 0; i < values.length; i++) values[i] = (values[i]! << shift) >> shift
}

/** Bytes as little-endian words, the sign of signed streams spread. */
function widen(values: Uint8Array, bits: number, signed: boolean): Uint8Array {
  const wide = new Uint8Array(2 * values.length)
  for (let i = 0; i < values.length; i++) {
    wide[2 * i] = values[i]!
    if (signed && values[i]! >> (bits - 1) !== 0) {
      wide[2 * i] = values[i]! | (0xff << bits)
      wide[2 * i + 1] = 0xff
    }
  }
  return wide
}

/** A stream as it is, then as it may have been meant. */
function* candidates(family: Exclude<CompressedFamily, 'rle'>, bytes: Uint8Array): Generator<Uint8Array> {
  if (family === 'jpegls') {
    yield* jpegLsCandidates(bytes)
    return
  }
  yield bytes
  // OpenJPEG insists on the end marker, which some writers leave out.
  const end = family === 'jpeg2000' ? jpeg2000End(bytes) : undefined
  if (end !== undefined) yield Buffer.concat([bytes.subarray(0, end), Buffer.from([0xff, 0xd9])])
}

/**
 * A JPEG-LS stream as it is and, where CharLS does not take that, without the zeros that some writers put before the end
 * marker. Where a stream just stops, CharLS may read on for many seconds: an end marker makes that an error at once.
 */
function* jpegLsCandidates(bytes: Uint8Array): Generator<Uint8Array> {
  const end = Buffer.from([0xff, 0xd9])
  let length = bytes.length
  while (length > 0 && bytes[length - 1] === 0) length--
  const isEnded = endsStream(bytes, 0, length)
  const data = bytes.subarray(0, isEnded ? length - 2 : bytes.length)
  yield isEnded ? bytes.subarray(0, length) : Buffer.concat([data, end])
  let zeros = 0
  while (zeros < data.length && data[data.length - 1 - zeros] === 0) zeros++
  // One zero may be the data's own last byte.
  for (const kept of new Set([zeros - 1, Math.min(1, zeros), 0]))
    if (kept >= 0 && kept < zeros) yield Buffer.concat([data.subarray(0, data.length - zeros + kept), end])
}

const DECODERS = {
  jpeg: (codecs: typeof Codecs, context: CodecContext) => codecs.decodeJpeg(context),
  jpegls: (codecs: typeof Codecs, context: CodecContext) => codecs.decodeJpegLs(context),
  jpeg2000: (codecs: typeof Codecs, context: CodecContext) => codecs.decodeJpeg2000(context),
  htj2k: (codecs: typeof Codecs, context: CodecContext) => codecs.decodeHtJpeg2000(context),
}

/** Compares what the compressed image says of itself with the DICOM header, before any memory is spent. */
function checkSize(size: CodestreamSize | undefined, header: FrameHeader): void {
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

function damaged(header: FrameHeader, expected: string, actual: string): NoduleError {
  return new NoduleError('FORMAT', 'damaged compressed image', {
    path: header.path,
    place: '(7FE0,0010)',
    expected,
    actual,
  })
}
