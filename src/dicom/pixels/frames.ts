import { append } from '../../lists.js'
import type { DataSet, Element } from 'dicom-parser'
import { NoduleError } from '../../errors.js'
import { PIXEL_DATA } from '../read/parse.js'
import type { DicomFile } from '../read/parse.js'

/**
 * The compressed bytes of one frame of encapsulated pixel data: its fragments joined. Frames are told apart by the
 * offset table, else by the fragments' number, else by where a JPEG stream ends.
 *
 * @throws NoduleError FORMAT where the frame is not there
 */
export function encapsulatedFrame(file: DicomFile, frame: number, frames: number): Uint8Array {
  const { fragments, ranges } = layoutOf(file, frames)
  const [from, to] = ranges[frame] ?? [0, 0]
  const pieces = fragments
    .slice(from, to)
    .map(({ position, length }) => file.bytes.subarray(position, position + length))
  if (pieces.length === 0) {
    throw new NoduleError('FORMAT', 'no compressed data for the frame', {
      path: file.path,
      place: '(7FE0,0010)',
      expected: `${frames} frames`,
      actual: `${fragments.length} whole fragments`,
    })
  }
  return pieces.length === 1 ? pieces[0]! : join(pieces)
}

type Fragments = NonNullable<Element['fragments']>

interface Layout {
  frames: number
  fragments: Fragments
  /** First and behind-last fragment of each frame. */
  ranges: [number, number][]
}

/** Frames of one file are asked for one by one. */
const layouts = new WeakMap<DicomFile, Layout>()

function layoutOf(file: DicomFile, frames: number): Layout {
  const known = layouts.get(file)
  if (known?.frames === frames) return known
  const fragments = wholeFragments(file)
  const layout = { frames, fragments, ranges: fragmentRanges(file, fragments, frames) }
  layouts.set(file, layout)
  return layout
}

function wholeFragments(file: DicomFile): Fragments {
  const fragments = file.dataSet.elements[PIXEL_DATA]?.fragments ?? []
  return fragments.filter(({ position, length }) => position + length <= file.bytes.length)
}

/** All fragments by the frames that they make up, as `encapsulatedFrame` joins them; those of no frame by themselves. */
export function fragmentGroups(file: DicomFile, frames: number): Fragments[] {
  const fragments = wholeFragments(file)
  const groups: Fragments[] = []
  let done = 0
  for (const [from, to] of fragmentRanges(file, fragments, frames)) {
    append(
      groups,
      fragments.slice(done, from).map((one) => [one]),
    )
    groups.push(fragments.slice(from, to))
    done = to
  }
  return [...groups, ...fragments.slice(done).map((one) => [one])]
}

/** First and behind-last fragment of each frame. */
function fragmentRanges(file: DicomFile, fragments: Fragments, frames: number): [number, number][] {
  const { length } = fragments
  if (frames <= 1) return [[0, length]]
  const offsets = extendedOffsets(file.dataSet) ?? file.dataSet.elements[PIXEL_DATA]?.basicOffsetTable ?? []
  if (offsets.length === frames) {
    const byOffset = new Map(fragments.map((fragment, index) => [fragment.offset, index]))
    const starts = offsets.map((offset) => byOffset.get(offset) ?? -1)
    if (starts.every((start, f) => start >= 0 && (f === 0 || start > starts[f - 1]!))) {
      return starts.map((start, f) => [start, starts[f + 1] ?? length])
    }
  }
  if (length === frames) return fragments.map((_, f) => [f, f + 1])
  const ranges: [number, number][] = []
  let start = 0
  fragments.forEach((fragment, index) => {
    if (!endsStream(file.bytes, fragment.position, fragment.length)) return
    ranges.push([start, index + 1])
    start = index + 1
  })
  return ranges
}

/** Extended Offset Table (7FE0,0001): 64-bit offsets. */
function extendedOffsets(dataSet: DataSet): number[] | undefined {
  const element = dataSet.elements['x7fe00001']
  if (element === undefined || element.dataOffset + element.length > dataSet.byteArray.length)
    return undefined
  const { buffer, byteOffset } = dataSet.byteArray as Uint8Array
  const view = new DataView(buffer, byteOffset + element.dataOffset, element.length)
  return Array.from({ length: element.length >> 3 }, (_, n) => Number(view.getBigUint64(8 * n, true)))
}

/** True where a fragment ends with the end marker of JPEG, JPEG-LS or JPEG 2000 (FFD9), padded or not. */
export function endsStream(bytes: Uint8Array, position: number, length: number): boolean {
  const end = position + length
  for (const at of [end - 2, end - 3]) {
    if (at >= position && bytes[at] === 0xff && bytes[at + 1] === 0xd9) return true
  }
  return false
}

export function join(pieces: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    joined.set(piece, at)
    at += piece.length
  }
  return joined
}
