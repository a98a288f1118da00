import { XMLParser, XMLValidator, type ValidationError } from 'fast-xml-parser'
import { NoduleError } from '../errors.js'
import { checkText, show } from '../check.js'
import { unescapeXml } from '../clean.js'
import { RATING_NAMES } from './types.js'
import type {
  Contour,
  CxrReading,
  LidcReading,
  NoduleMark,
  PointMark,
  RatingName,
  Ratings,
  ReadingSession,
} from './types.js'
import { decodeText, readRegular } from '../read_files.js'

/** The largest file of LIDC-IDRI has 2.2 MB. */
const MAX_BYTES = 64 * 1024 * 1024
const MAX_DEPTH = 32
/** No image is larger. */
const MAX_COORDINATE = 65535
/** The line around a nodule at the border of an image lies beside the image. */
const MIN_OUTLINE = -1

/** Highest value of each rating; the lowest is 1. */
const RATING_LIMITS: Record<RatingName, number> = {
  subtlety: 5,
  internalStructure: 4,
  calcification: 6,
  sphericity: 5,
  margin: 5,
  lobulation: 5,
  spiculation: 5,
  texture: 5,
  malignancy: 5,
}

const parser = new XMLParser({
  ignoreAttributes: true,
  removeNSPrefix: true,
  parseTagValue: false,
  processEntities: false,
  jPath: false,
  trimValues: true,
})

type Node = Record<string, unknown>

/**
 * Reads a LIDC-IDRI annotation file; the root element, not the name, says whether it is a CT or an X-ray reading.
 *
 * @throws NoduleError FILE; FORMAT where it is not XML, not LIDC's, or a place or number is missing (with the element)
 */
export async function readLidcXml(path: string): Promise<LidcReading | CxrReading> {
  const bytes = await readRegular(path, { limit: MAX_BYTES })
  return parseLidcXml(decodeXml(bytes), path)
}

/** The text of an XML file: UTF-8, or what its first bytes or its declaration say. */
export function decodeXml(bytes: Buffer): string {
  const [first, second] = bytes
  if (first === 0x3c && second === 0) return new TextDecoder('utf-16le').decode(bytes)
  if (first === 0 && second === 0x3c) return new TextDecoder('utf-16be').decode(bytes)
  // What begins with one byte a character is no UTF-16, though writers that change the encoding last declare it.
  const declared = /^<\?xml[^>]{0,200}?encoding\s{0,9}=\s{0,9}["']([\w.:-]{1,40})["']/.exec(
    bytes.toString('latin1', 0, 400),
  )?.[1]
  if (declared === undefined || /^(utf|ucs)-?(8|16|32|2|4)/i.test(declared)) return decodeText(bytes)
  try {
    return new TextDecoder(declared).decode(bytes)
  } catch {
    // An encoding that nobody knows: LIDC's numbers are ASCII in nearly all of them.
    return bytes.toString('utf8')
  }
}

/** The same from a string; `path` is for the messages. */
export function parseLidcXml(content: string, path: string): LidcReading | CxrReading {
  checkText('content', content)
  const [name, root] = parseRoot(content, path)
  const header = child(root, 'ResponseHeader')
  if (header === undefined) throw wrong(path, name, 'a ResponseHeader', 'none')
  const uid = (key: string): string => string(header[key]) ?? string(header[key.replace('UID', 'Uid')]) ?? ''
  const studyInstanceUid = uid('StudyInstanceUID')
  const seriesInstanceUid = uid('SeriesInstanceUID')
  if (name === 'IdriReadMessage') {
    const sessions = children(root, 'CXRreadingSession')
    return {
      kind: 'cxr',
      path,
      seriesInstanceUid: string(header['CXRSeriesInstanceUid']) ?? seriesInstanceUid,
      studyInstanceUid,
      ctSeriesInstanceUid: string(header['CTSeriesInstanceUid']) ?? '',
      sessions: sessions.length,
      marks: sessions.reduce((sum, session) => sum + children(session, 'unblindedRead').length, 0),
    }
  }
  if (seriesInstanceUid === '') throw wrong(path, 'ResponseHeader/SeriesInstanceUid', 'a series UID', 'none')
  const warnings: string[] = []
  const sessions = children(root, 'readingSession').map((session, index) =>
    readSession(session, { path, place: `readingSession[${index + 1}]`, warnings }),
  )
  return { kind: 'ct', path, seriesInstanceUid, studyInstanceUid, sessions, warnings }
}

function parseRoot(content: string, path: string): [string, Node] {
  const text = content.charCodeAt(0) === 0xfeff ? content.slice(1) : content
  // Entities can blow a small file up or reach other files; LIDC has no document type, so none is read.
  if (/<!(DOCTYPE|ENTITY)/i.test(text)) throw wrong(path, '<!DOCTYPE', 'no document type declaration', 'one')
  checkDepth(text, path)
  const short = joinPoints(text)
  if (XMLValidator.validate(short) !== true) {
    // The original has the line numbers that its reader sees.
    const valid = XMLValidator.validate(text) as ValidationError
    throw new NoduleError('FORMAT', 'not well-formed XML', {
      path,
      place: `line ${valid.err.line}`,
      actual: valid.err.msg,
    })
  }
  let parsed: Node
  try {
    parsed = parser.parse(short) as Node
  } catch (error) {
    throw new NoduleError('FORMAT', 'not well-formed XML', { path, actual: show(error), cause: error })
  }
  for (const name of ['LidcReadMessage', 'IdriReadMessage']) {
    if (Object.hasOwn(parsed, name)) return [name, node(parsed[name]) ?? {}]
  }
  const found = Object.keys(parsed).find((key) => !key.startsWith('?'))
  throw wrong(path, 'root element', 'LidcReadMessage or IdriReadMessage', found ?? 'none')
}

/**
 * Nearly all elements of a file are the points of contours. Plain ones, `<edgeMap><xCoord>1</xCoord><yCoord>2</yCoord>
 * </edgeMap>`, become one `<edgeMap>1 2;3 4;...</edgeMap>`, so that the XML parser makes a text of them instead of hundreds
 * of objects: it takes most of the time. All else is left as it is.
 */
function joinPoints(text: string): string {
  return text
    .replace(
      /<edgeMap>\s*<xCoord>\s*(-?\d{1,9})\s*<\/xCoord>\s*<yCoord>\s*(-?\d{1,9})\s*<\/yCoord>\s*<\/edgeMap>/g,
      '<edgeMap>$1 $2</edgeMap>',
    )
    .replace(/(?<=<edgeMap>-?\d{1,9} -?\d{1,9})<\/edgeMap>\s*<edgeMap>(?=-?\d{1,9} -?\d{1,9}<)/g, ';')
}

/** A quick bound before the real parser sees the text: LIDC nests 6 deep. */
function checkDepth(text: string, path: string): void {
  let depth = 0
  for (let at = text.indexOf('<'); at >= 0; at = text.indexOf('<', at + 1)) {
    const next = text.charCodeAt(at + 1)
    if (next === 0x2f) depth--
    else if (next !== 0x21 && next !== 0x3f) {
      const end = text.indexOf('>', at)
      if (end < 0) return
      if (text.charCodeAt(end - 1) !== 0x2f && ++depth > MAX_DEPTH) {
        throw wrong(path, `character ${at}`, `elements nested at most ${MAX_DEPTH} deep`, 'more')
      }
      at = end
    }
  }
}

interface Context {
  path: string
  place: string
  warnings: string[]
}

function readSession(session: Node, context: Context): ReadingSession {
  const nodules: NoduleMark[] = []
  const smallNodules: PointMark[] = []
  children(session, 'unblindedReadNodule').forEach((element, index) => {
    const inner = { ...context, place: `${context.place}/unblindedReadNodule[${index + 1}]` }
    const id = string(element['noduleID']) ?? ''
    const contours = children(element, 'roi').map((roi, i) =>
      readRoi(roi, { ...inner, place: `${inner.place}/roi[${i + 1}]` }),
    )
    const ratings = readRatings(child(element, 'characteristics'), inner)
    if (contours.length === 0) {
      context.warnings.push(`${inner.place}: nodule ${show(id)} without a region; left out`)
      return
    }
    if (contours.every((contour) => contour.points.length === 1)) {
      if (ratings !== undefined) {
        context.warnings.push(
          `${inner.place}: nodule ${show(id)} has ratings and a single point; taken as below 3 mm`,
        )
      }
      for (const contour of contours) smallNodules.push(pointOf(id, contour))
      return
    }
    if (ratings === undefined)
      context.warnings.push(`${inner.place}: nodule ${show(id)} has a contour and no ratings`)
    nodules.push({
      noduleId: id,
      ...(ratings === undefined ? {} : { ratings }),
      contours: dropStrayPoints(contours, id, inner),
    })
  })
  return {
    readerId: string(session['servicingRadiologistID']) ?? '',
    nodules,
    smallNodules,
    nonNodules: children(session, 'nonNodule').map((element, index) =>
      readNonNodule(element, context, index),
    ),
  }
}

/** Regions of one point inside an outlined nodule are stray clicks. */
function dropStrayPoints(contours: readonly Contour[], id: string, context: Context): Contour[] {
  const kept = contours.filter((contour) => contour.points.length > 1)
  const stray = contours.length - kept.length
  if (stray > 0) {
    context.warnings.push(`${context.place}: ${stray} single-point regions of nodule ${show(id)} dropped`)
  }
  return kept
}

function readRoi(roi: Node, context: Context): Contour {
  const points = readPoints(roi, context)
  if (points.length === 0) throw wrong(context.path, context.place, 'at least one edgeMap', 'none')
  const inclusion = (string(roi['inclusion']) ?? '').toUpperCase()
  if (inclusion !== 'TRUE' && inclusion !== 'FALSE') {
    throw wrong(context.path, `${context.place}/inclusion`, 'TRUE or FALSE', show(roi['inclusion']))
  }
  return { ...readPlane(roi, context), inclusion: inclusion === 'TRUE', points }
}

/** The points of a contour in order: elements, or what `joinPoints` made of them. */
function readPoints(roi: Node, context: Context): { x: number; y: number }[] {
  const points: { x: number; y: number }[] = []
  const add = (edge: Node): void => {
    points.push(readPoint(edge, context, `edgeMap[${points.length + 1}]`, MIN_OUTLINE))
  }
  const edges = roi['edgeMap']
  for (const edge of Array.isArray(edges) ? (edges as unknown[]) : [edges]) {
    const joined = string(edge)
    if (joined === undefined) {
      const element = node(edge)
      if (element !== undefined) add(element)
    } else
      for (const pair of joined.split(';')) {
        const [xCoord, yCoord] = pair.split(' ')
        add({ xCoord, yCoord })
      }
  }
  return points
}

function readNonNodule(element: Node, context: Context, index: number): PointMark {
  const inner = { ...context, place: `${context.place}/nonNodule[${index + 1}]` }
  const locus = children(element, 'locus')[0]
  if (locus === undefined) throw wrong(inner.path, inner.place, 'a locus', 'none')
  return {
    id: string(element['nonNoduleID']) ?? '',
    ...readPlane(element, inner),
    ...readPoint(locus, inner, 'locus'),
  }
}

function readPlane(element: Node, context: Context): { sopInstanceUid: string; z: number } {
  return {
    sopInstanceUid: string(element['imageSOP_UID']) ?? '',
    z: readNumber(element['imageZposition'], `${context.place}/imageZposition`, context.path),
  }
}

function readPoint(element: Node, context: Context, name: string, least = 0): { x: number; y: number } {
  const read = (key: string): number => {
    const place = `${context.place}/${name}/${key}`
    const value = readNumber(element[key], place, context.path)
    if (value < least || value > MAX_COORDINATE) {
      throw wrong(context.path, place, `a pixel index from ${least} to ${MAX_COORDINATE}`, String(value))
    }
    return value
  }
  return { x: read('xCoord'), y: read('yCoord') }
}

function pointOf(id: string, contour: Contour): PointMark {
  const { x, y } = contour.points[0]!
  return { id, sopInstanceUid: contour.sopInstanceUid, z: contour.z, x, y }
}

/**
 * The ratings, or undefined where the element is absent, empty, or holds blanks or zeros. A rating beyond its scale is
 * kept as the reader gave it (LIDC has one internalStructure 5) and warned about.
 */
function readRatings(element: Node | undefined, context: Context): Ratings | undefined {
  if (element === undefined) return undefined
  const ratings: Partial<Ratings> = {}
  for (const name of RATING_NAMES) {
    const text = string(element[name]) ?? ''
    const value = text === '' ? 0 : readNumber(text, `${context.place}/characteristics/${name}`, context.path)
    if (value === 0) {
      context.warnings.push(
        `${context.place}: rating ${name} is ${text === '' ? 'blank' : '0'}; ratings ignored`,
      )
      return undefined
    }
    if (!Number.isInteger(value) || value < 1 || value > RATING_LIMITS[name]) {
      context.warnings.push(
        `${context.place}: rating ${name} is ${value}, beyond 1 to ${RATING_LIMITS[name]}`,
      )
    }
    ratings[name] = value
  }
  return ratings as Ratings
}

function readNumber(value: unknown, place: string, path: string): number {
  const text = string(value) ?? ''
  const number = Number(text)
  if (text === '' || !Number.isFinite(number)) throw wrong(path, place, 'a number', show(value))
  return number
}

/** The text of an element, with its character references resolved. */
function string(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? unescapeXml(value) : undefined
}

function node(value: unknown): Node | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Node) : undefined
}

/** The first child element of a name that has content; an empty one is undefined. */
function child(element: Node, name: string): Node | undefined {
  const value = element[name]
  return node(Array.isArray(value) ? value[0] : value)
}

function children(element: Node, name: string): Node[] {
  const value = element[name]
  return (Array.isArray(value) ? value : [value]).map(node).filter((item) => item !== undefined)
}

function wrong(path: string, place: string, expected: string, actual: string): NoduleError {
  return new NoduleError('FORMAT', 'not a LIDC annotation', { path, place, expected, actual })
}
