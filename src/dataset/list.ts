import { existsSync } from 'node:fs'
import { dirname, isAbsolute, resolve } from 'node:path'
import { invalidParameter, show } from '../check.js'
import { NoduleError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import { ANNOLIST_FORMATS, gunzip, parseAnnolist } from '../formats/annolist.js'
import type { AnnolistFormat } from '../formats/annolist.js'
import type { EdgeBox } from '../geometry/box.js'
import type { FrameMapping } from '../geometry/frame.js'
import { isHullOf } from '../geometry/hull.js'
import type { Hull, HullBox } from '../geometry/hull.js'
import { checkShape, isObject, parseJson } from '../json.js'
import type { Shape } from '../json.js'
import { MAX_TEXT_BYTES, decodeText, readRegularSync } from '../read_files.js'
import { agree, count } from '../words.js'

/**
 * A box of a list: pixels at the edges of the image that the entry names; `hull`, where it is there, says what it was put
 * around, so that training can turn it. Other keys of the file are kept.
 */
export interface ListRect extends HullBox {
  /** Confidence in [0, 1]; only in lists of predictions. */
  score?: number
  [extra: string]: unknown
}

/**
 * What the pixels of a frame are: gray levels of the window, or HU + 32768 in 16 bits, to be windowed when they are
 * read.
 */
export type FrameEncoding = 'gray8' | 'hu16'

/** A consensus nodule as its readers saw it. */
export interface NoduleMeasures {
  readers: number
  /** Greatest distance of two contour points on one slice, mm, mean over the readers; older lists call it diameterMm. */
  axialDiameterMm: number
  /** LIDC's texture rating, mean over the readers: 1 ground glass, 3 part-solid, 5 solid; absent without ratings. */
  texture?: number
  /** Whose nodule it is, where it was put into the scan of another patient. */
  donorPatientId?: string
}

/** A whole scan, a synthetic one, a stack cut out around a nodule, a scan with nodules put in. */
export type FrameOrigin = 'scan' | 'phantom' | 'stack' | 'insertion'

/** Of a whole scan: patients of `nodule phantom` have ids that begin with PHANTOM-. */
export const scanOrigin = (patientId: string): 'scan' | 'phantom' =>
  patientId.startsWith('PHANTOM-') ? 'phantom' : 'scan'

/** Where a frame comes from, so that its boxes can be mapped back to the scan. Only in lists that nodule wrote. */
export interface FrameSource {
  patientId: string
  seriesInstanceUid: string
  sopInstanceUid: string
  /** Name of the stack within the patient, where the frame is of one: k and positionMm count within it. */
  stack?: string
  /** Number of the copy of the scan, where nodules were put into several. */
  variant?: number
  /** Slice index in the volume, 0 at the feet. */
  k: number
  /** Position of the slice along the slice direction, mm, relative to slice 0. */
  positionMm: number
  /** Patient mm of the slice's first voxel along z (LPS), as in results of detection; older lists have none. */
  z?: number
  mapping: FrameMapping
  /** Default 'gray8'. */
  encoding?: FrameEncoding
  /**
   * Slices of the frame. 3 (default): the channels of an RGB image; otherwise the planes lie one below the other in a
   * gray image, from the feet to the head.
   */
  channels?: number
  /** What made the frame; default 'scan'. */
  origin?: FrameOrigin
  /** The consensus nodule of each rect, in the order of `rects`. */
  nodules: string[]
  /** What they measure, in the same order; absent in lists of nodule 0.1's first versions. */
  measures?: NoduleMeasures[]
  /** Findings on this slice that do not meet the criteria (too few readers, too small), frame pixels. */
  excluded: EdgeBox[]
  /** False marks of an earlier model (`nodule mine`), frame pixels: training looks at them more often. */
  hard?: EdgeBox[]
}

/** One image with its boxes, as TensorBox's JSON lists have it. Other keys of the file are kept. */
export interface ListEntry {
  /** Absolute, or relative to the folder of the list. */
  image_path: string
  rects: ListRect[]
  nodule?: FrameSource
  [extra: string]: unknown
}

export interface FrameList {
  path: string
  /** The folder that relative image paths start from. */
  dir: string
  entries: ListEntry[]
  /** What was put right while reading, one line a kind, with counts. */
  warnings: string[]
  /** Which entry of which file each one is, where they are not those of `path` as they stand there; see `originOf`. */
  origins?: readonly EntryOrigin[]
}

/** An entry of a list's file. */
export interface EntryOrigin {
  path: string
  index: number
}

/** Where an entry stands in a file, for messages. */
export function originOf({ path, origins }: Pick<FrameList, 'path' | 'origins'>, index: number): EntryOrigin {
  return origins?.[index] ?? { path, index }
}

/** Of boxes of an entry before which others were dropped: where each one stands in the file. */
const placesInFile = new WeakMap<readonly object[], readonly number[]>()

/** The index of a box in its entry's file, for messages: boxes that `readList` dropped count there. */
export function rectIndex(rects: readonly object[], index: number): number {
  return placesInFile.get(rects)?.[index] ?? index
}

/**
 * Reads a TensorBox JSON list: `[{"image_path": "...", "rects": [{"x1", "y1", "x2", "y2"[, "score"]}]}]`, or one of its
 * older ones (.idl, .al, .pal), all of them also gzipped (.gz).
 *
 * Boxes turned inside out are turned back, boxes without an area are dropped, each with a warning that counts them:
 * both come out of labeling tools, and TensorBox reads them; hulls that no longer fit their boxes are dropped likewise.
 * Whether images exist and boxes lie in them is checked by `checkImages`, since lists are also read where the images are
 * not at hand.
 * Throws NoduleError (FILE, FORMAT) that names the file and the JSON pointer.
 */
export function readList(path: string): FrameList {
  const { packed, format } = listKind(path)
  const raw = readRegularSync(path, { action: 'read list', limit: MAX_TEXT_BYTES })
  const bytes = packed ? gunzip(raw, path, MAX_TEXT_BYTES) : raw
  const value =
    format === undefined ? parseListJson(decodeText(bytes), path) : parseAnnolist(bytes, format, path)
  return parseList(value, path)
}

/** What a list is read as, by its name; without a format as JSON. */
function listKind(path: string): { packed: boolean; format: AnnolistFormat | undefined } {
  const [, ending] = /\.(\w+)(?:\.gz)?$/i.exec(path) ?? []
  const format = ANNOLIST_FORMATS.find((one) => one === ending?.toLowerCase())
  return { packed: /\.gz$/i.test(path), format }
}

/** Throws NoduleError (UNSUPPORTED) for a name under which `readList` would not read what `writeList` writes. */
export function checkListName(path: string): void {
  const { packed, format } = listKind(path)
  if (packed || format !== undefined)
    throw new NoduleError('UNSUPPORTED', 'lists are written as plain JSON only', {
      path,
      expected: 'a name that ends with .json',
    })
}

/** Reads lists as one: `path` names the first, image paths are absolute. Throws as `readList`. */
export function readLists(paths: readonly string[]): FrameList {
  const [first, ...others] = paths
  if (first === undefined) throw invalidParameter('paths', 'at least one list', paths)
  if (others.length === 0) return readList(first)
  const lists = paths.map(readList)
  return {
    path: first,
    dir: dirname(resolve(first)),
    entries: lists.flatMap((list) =>
      list.entries.map((entry) => ({ ...entry, image_path: imageFile(list, entry) })),
    ),
    warnings: lists.flatMap((list) => list.warnings),
    origins: lists.flatMap(({ path, entries }) => entries.map((_, index) => ({ path, index }))),
  }
}

/** Checks a parsed list; see `readList`. `path` is the file that relative image paths belong to. */
export function parseList(value: unknown, path: string): FrameList {
  if (!Array.isArray(value)) throw wrong(path, '', 'array of images', value)
  const counts = { turned: 0, flat: 0, misfits: 0 }
  const entries = value.map((item: unknown, index) => parseEntry(item, path, `/${index}`, counts))
  const warnings: string[] = []
  if (counts.turned > 0)
    warnings.push(
      `${path}: ${count(counts.turned, 'box')} turned inside out ${agree(counts.turned, 'was', 'were')} turned back`,
    )
  if (counts.flat > 0)
    warnings.push(
      `${path}: ${count(counts.flat, 'box')} without an area ${agree(counts.flat, 'was', 'were')} dropped`,
    )
  if (counts.misfits > 0)
    warnings.push(
      `${path}: ${count(counts.misfits, 'hull')} not in the middle of ${agree(counts.misfits, 'its box', 'their boxes')} ${agree(counts.misfits, 'was', 'were')} dropped`,
    )
  return { path, dir: dirname(resolve(path)), entries, warnings }
}

/**
 * Writes a list, one entry a line. The entries are checked as `readList` checks them; errors name `path` and the
 * JSON pointer, and nothing is written. Throws as `checkListName`, too.
 */
export async function writeList(path: string, entries: readonly ListEntry[]): Promise<void> {
  checkListName(path)
  for (const [index, entry] of entries.entries()) parseEntry(entry, path, `/${index}`, undefined)
  const lines = entries.map((entry) => JSON.stringify(entry))
  await writeFileAtomic(path, lines.length === 0 ? '[]\n' : `[\n${lines.join(',\n')}\n]\n`)
}

/** The file of an entry's image. Lists written on Windows have backslashes, which are no file names elsewhere. */
export function imageFile(list: Pick<FrameList, 'dir'>, entry: ListEntry): string {
  const place = (path: string): string => (isAbsolute(path) ? path : resolve(list.dir, path))
  const literal = place(entry.image_path)
  if (!entry.image_path.includes('\\') || existsSync(literal)) return literal
  return place(entry.image_path.replaceAll('\\', '/'))
}

function parseListJson(content: string, path: string): unknown {
  try {
    return parseJson(content, path)
  } catch (error) {
    // Python writes NaN and Infinity, which JSON does not have: as strings they get an error that names their place.
    const quoted = quoteNumberWords(content)
    if (quoted === undefined) throw error
    try {
      return parseJson(quoted, path)
    } catch {
      // Broken in another way too: the first error is reported.
      throw error
    }
  }
}

/** JSON with NaN and Infinity outside of strings quoted; undefined where there are none. One pass, whatever the text. */
function quoteNumberWords(text: string): string | undefined {
  const pieces: string[] = []
  let from = 0
  let isString = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (isString) {
      if (character === '\\') at++
      else if (character === '"') isString = false
    } else if (character === '"') isString = true
    else if (character === 'N' || character === 'I' || character === '-') {
      const word = ['NaN', 'Infinity', '-NaN', '-Infinity'].find((one) => text.startsWith(one, at))
      if (word === undefined) continue
      pieces.push(text.slice(from, at), JSON.stringify(word))
      from = at + word.length
      at = from - 1
    }
  }
  return pieces.length === 0 ? undefined : pieces.join('') + text.slice(from)
}

const BOX = { x1: 'number', y1: 'number', x2: 'number', y2: 'number' } as const

/** Of what nodule wrote beside an image, as far as programs rely on it; other tools' lists may have less. */
const SOURCE = {
  'patientId?': 'text',
  'seriesInstanceUid?': 'text',
  'sopInstanceUid?': 'text',
  'stack?': 'text',
  'variant?': 'number',
  'k?': 'number',
  'positionMm?': 'number',
  'z?': 'number',
  'mapping?': {
    originX: 'number',
    originY: 'number',
    scale: 'number',
    'scaleY?': 'number',
    frameWidth: 'number',
    frameHeight: 'number',
  },
  'encoding?': 'text',
  'channels?': 'count',
  'origin?': 'text',
  'nodules?': ['any'],
  'measures?': [{}],
  'excluded?': [BOX],
  'hard?': [BOX],
} satisfies Shape
const MAY_BE_ABSENT = Object.keys(SOURCE).map((key) => key.replace('?', ''))

/** What was put right. */
type Counts = Record<'turned' | 'flat' | 'misfits', number>

function parseEntry(item: unknown, path: string, pointer: string, counts: Counts | undefined): ListEntry {
  if (!isObject(item)) throw wrong(path, pointer, 'object with "image_path" and "rects"', item)
  const imagePath = item['image_path']
  if (typeof imagePath !== 'string' || imagePath === '' || imagePath.includes('\0'))
    throw wrong(path, `${pointer}/image_path`, 'path of an image', imagePath)
  const rects = item['rects']
  if (!Array.isArray(rects)) throw wrong(path, `${pointer}/rects`, 'array of boxes', rects)
  const boxes: ListRect[] = []
  const kept: number[] = []
  for (const [index, rect] of rects.entries()) {
    const box = parseRect(rect, path, `${pointer}/rects/${index}`, counts)
    if (box === undefined) continue
    boxes.push(box)
    kept.push(index)
  }
  if (kept.length < rects.length) placesInFile.set(boxes, kept)
  const entry: ListEntry = { ...item, image_path: imagePath, rects: boxes }
  if (item['nodule'] !== undefined) {
    checkShape(item['nodule'], SOURCE, path, 'wrong value', `${pointer}/nodule`)
    const source: Record<string, unknown> = { ...item['nodule'] }
    entry.nodule = source as unknown as FrameSource
    // What may be absent may be null.
    for (const key of MAY_BE_ABSENT) if (source[key] === null) delete source[key]
    // Ids and measures stay beside their boxes where a box was dropped.
    const beside = Object.entries(source).filter(
      ([key, list]) =>
        ['nodules', 'measures'].includes(key) && Array.isArray(list) && list.length === rects.length,
    ) as [string, unknown[]][]
    if (beside.length > 0 && kept.length < rects.length) {
      const left = beside.map(([key, list]) => [key, kept.map((index) => list[index])] as const)
      Object.assign(source, Object.fromEntries(left))
    }
  }
  return entry
}

/** More corners than a mask has, or a contour. */
const MOST_CORNERS = 1000
const HULL: Shape = [['number', 2]]

/** A checked hull of a box; undefined where there is none, or one that is not the box's own. */
function parseHull(
  hull: unknown,
  box: EdgeBox,
  path: string,
  pointer: string,
  counts: Counts | undefined,
): Hull | undefined {
  if (hull === undefined || hull === null) return undefined
  if (!Array.isArray(hull) || hull.length === 0 || hull.length > MOST_CORNERS) {
    throw wrong(path, pointer, `1 to ${MOST_CORNERS} corners [x, y]`, hull)
  }
  checkShape(hull, HULL, path, 'wrong value', pointer)
  if (isHullOf(hull as unknown as Hull, box)) return hull as unknown as Hull
  if (counts === undefined) throw wrong(path, pointer, 'corners around the middle of the box', hull)
  counts.misfits++
  return undefined
}

const COORDINATES = ['x1', 'y1', 'x2', 'y2'] as const

/** A checked box, or undefined for one without an area. Without `counts`, what would be put right is an error. */
function parseRect(
  rect: unknown,
  path: string,
  pointer: string,
  counts: Counts | undefined,
): ListRect | undefined {
  if (!isObject(rect)) throw wrong(path, pointer, 'object with "x1", "y1", "x2", "y2"', rect)
  const number = (name: string): number => {
    const value = rect[name]
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw wrong(path, `${pointer}/${name}`, 'finite number', value)
    return value
  }
  const [x1, y1, x2, y2] = COORDINATES.map(number) as [number, number, number, number]
  if (rect['score'] !== undefined) number('score')
  if (counts === undefined) {
    if (!(x2 > x1)) throw wrong(path, `${pointer}/x2`, `number above x1 = ${x1}`, x2)
    if (!(y2 > y1)) throw wrong(path, `${pointer}/y2`, `number above y1 = ${y1}`, y2)
    parseHull(rect['hull'], { x1, y1, x2, y2 }, path, `${pointer}/hull`, counts)
    return rect as ListRect
  }
  if (x1 === x2 || y1 === y2) {
    counts.flat++
    return undefined
  }
  if (x1 > x2 || y1 > y2) counts.turned++
  const box = {
    x1: Math.min(x1, x2),
    y1: Math.min(y1, y2),
    x2: Math.max(x1, x2),
    y2: Math.max(y1, y2),
  }
  const hull = parseHull(rect['hull'], box, path, `${pointer}/hull`, counts)
  const { hull: _, ...others } = rect
  return { ...others, ...box, ...(hull === undefined ? {} : { hull }) }
}

function wrong(path: string, place: string, expected: string, actual: unknown): NoduleError {
  return new NoduleError('FORMAT', 'wrong value', { path, place, expected, actual: show(actual) })
}
