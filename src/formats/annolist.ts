import { gunzipSync } from 'node:zlib'
import { XMLParser } from 'fast-xml-parser'
import protobuf from 'protobufjs'
import { show } from '../check.js'
import { NoduleError, describeError } from '../errors.js'

/** An image with its boxes, as TensorBox's older lists have it. */
export interface AnnotatedImage {
  image_path: string
  rects: { x1: number; y1: number; x2: number; y2: number; score?: number }[]
}

/** Which list a file is, by its name without `.gz`. */
export const ANNOLIST_FORMATS = ['idl', 'al', 'pal'] as const
export type AnnolistFormat = (typeof ANNOLIST_FORMATS)[number]

/** Unpacks a `.gz` up to `limit` bytes. Throws NoduleError (FORMAT). */
export function gunzip(bytes: Uint8Array, path: string, limit: number): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: limit })
  } catch (error) {
    const tooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    throw new NoduleError('FORMAT', tooLarge ? 'too large when unpacked' : 'not a gzip file', {
      path,
      ...(tooLarge ? { expected: `at most ${limit} bytes` } : { actual: describeError(error) }),
      cause: error,
    })
  }
}

/** Reads one of TensorBox's older lists. Throws NoduleError (FORMAT) with the place. */
export function parseAnnolist(bytes: Buffer, format: AnnolistFormat, path: string): AnnotatedImage[] {
  if (format === 'idl') return parseIdl(bytes.toString('utf8'), path)
  return format === 'al' ? parseAl(bytes.toString('utf8'), path) : parsePal(bytes, path)
}

const NUMBER = String.raw`[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?`
const IDL_BOX = new RegExp(
  String.raw`^\(\s*(${NUMBER})\s*,\s*(${NUMBER})\s*,\s*(${NUMBER})\s*,\s*(${NUMBER})\s*\)(?::(${NUMBER}))?(?:/-?\d+)?$`,
)

/** Lines `"image": (x1, y1, x2, y2):score/id, ...;`, the last one ends with a full stop. */
function parseIdl(content: string, path: string): AnnotatedImage[] {
  const images: AnnotatedImage[] = []
  for (const [index, raw] of content.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line === '.') continue
    const wrong = (expected: string, actual: string): NoduleError =>
      new NoduleError('FORMAT', 'not a line of an .idl list', {
        path,
        place: `line ${index + 1}`,
        expected,
        actual: show(actual.slice(0, 80)),
      })
    const [, name, rest] = /^"([^"]+)"(?:@-?\d+)?\s*(.*?)[;.]?$/s.exec(line) ?? []
    if (name === undefined || rest === undefined) throw wrong('"image": (x1, y1, x2, y2), ...;', line)
    if (rest !== '' && !rest.startsWith(':')) throw wrong('a colon after the image', rest)
    // Boxes hold commas themselves: a comma after a box, score and id included, parts two.
    const boxes = rest
      .slice(1)
      .trim()
      .split(/,\s*(?=\()/)
    images.push({
      image_path: name,
      rects: boxes
        .filter((box) => box.trim() !== '')
        .map((box) => {
          const found = IDL_BOX.exec(box.trim())
          if (found === null) throw wrong('(x1, y1, x2, y2), perhaps with :score', box)
          return rect(found.slice(1, 6))
        }),
    })
  }
  return images
}

/** XML: annotationlist / annotation / image / name, annorect / x1, y1, x2, y2, score. */
function parseAl(content: string, path: string): AnnotatedImage[] {
  const wrong = (place: string, expected: string, actual: unknown): NoduleError =>
    new NoduleError('FORMAT', 'not an .al list', { path, place, expected, actual: show(actual) })
  const parser = new XMLParser({
    ignoreAttributes: true,
    parseTagValue: false,
    processEntities: false,
    jPath: false,
    isArray: (name: string) => name === 'annotation' || name === 'annorect',
  })
  let document: unknown
  try {
    document = parser.parse(content, true)
  } catch (error) {
    throw wrong('', 'XML', describeError(error))
  }
  const list = (document as Record<string, unknown>)['annotationlist']
  if (list === undefined) throw wrong('', 'the element annotationlist', Object.keys(document as object)[0])
  const annotations = (list as { annotation?: unknown[] }).annotation ?? []
  return annotations.map((item, index) => {
    const place = `annotation ${index + 1}`
    const { image, annorect = [] } = item as { image?: { name?: unknown }; annorect?: unknown[] }
    const name = image?.name
    if (typeof name !== 'string' || name === '') throw wrong(place, 'image/name', name)
    const rects = annorect.map((box, at) => {
      const fields = box as Record<string, unknown>
      const values = ['x1', 'y1', 'x2', 'y2', 'score'].map((key) => {
        const text = fields[key]
        if (key === 'score' && (text === undefined || text === '')) return undefined
        if (typeof text !== 'string' || !new RegExp(`^${NUMBER}$`).test(text.trim()))
          throw wrong(`${place}, annorect ${at + 1}, ${key}`, 'number', text)
        return text
      })
      return rect(values)
    })
    return { image_path: name, rects }
  })
}

/** Source: AnnoList.proto of TensorBox's utils/annolist; only what is read here. */
const AnnoList = protobuf
  .parse(
    `syntax = "proto2";
     message AnnoRect {
       optional float x1 = 1; optional float y1 = 2; optional float x2 = 3; optional float y2 = 4;
       optional float score = 5;
     }
     message Annotation { optional string imageName = 1; repeated AnnoRect rect = 2; }
     message AnnoList { repeated Annotation annotation = 1; }`,
    { keepCase: true },
  )
  .root.lookupType('AnnoList')

interface PalList {
  annotation?: { imageName?: string; rect?: Partial<AnnotatedImage['rects'][number]>[] }[]
}

function parsePal(bytes: Uint8Array, path: string): AnnotatedImage[] {
  let list: PalList
  try {
    list = AnnoList.toObject(AnnoList.decode(bytes)) as PalList
  } catch (error) {
    throw new NoduleError('FORMAT', 'not a .pal list', { path, actual: describeError(error), cause: error })
  }
  return (list.annotation ?? []).map(({ imageName = '', rect: rects = [] }) => ({
    image_path: imageName,
    rects: rects.map(({ x1 = 0, y1 = 0, x2 = 0, y2 = 0, score }) => ({
      ...{ x1, y1, x2, y2 },
      ...(score === undefined ? {} : { score }),
    })),
  }))
}

function rect(values: readonly (string | undefined)[]): AnnotatedImage['rects'][number] {
  const [x1, y1, x2, y2] = values.map(Number) as [number, number, number, number]
  const score = values[4]
  return { x1, y1, x2, y2, ...(score === undefined ? {} : { score: Number(score) }) }
}
