import { join } from 'node:path'
import { show } from '../check.js'
import { NoduleError } from '../errors.js'
import { parseJson } from '../json.js'
import { RATING_NAMES } from './types.js'
import { writeLidcXml } from './writer.js'
import type { LidcXmlToWrite, NoduleToWrite, PointToWrite, SessionToWrite } from './writer.js'
import { MAX_TEXT_BYTES, readRegular } from '../read_files.js'

type Json = Record<string, unknown>

/**
 * Writes our own JSON as LIDC XML, which other LIDC tools read: readers' marks ("nodule-annotations/2"; /1 had other names for measures) as they were;
 * detections ("nodule-detections/1") as one reading without ratings, each slice box as the pixels around it, which at the
 * borders of the image lie beside it (-1, columns, rows).
 *
 * @param taken paths that hold other series already; those that are written are added
 * @returns the files written, one per series: `SERIESUID.xml`, or `SERIESUID-2.xml` where that one is taken
 * @throws NoduleError FILE, FORMAT with the JSON pointer
 */
export async function jsonToXml(
  path: string,
  directory: string,
  taken = new Set<string>(),
): Promise<string[]> {
  const written: string[] = []
  for (const message of await readMessages(path)) {
    // Two patients may have one UID.
    const name = message.seriesInstanceUid.replaceAll(/[^\w.-]/g, '_')
    let target = join(directory, `${name}.xml`)
    for (let n = 2; taken.has(target); n++) target = join(directory, `${name}-${n}.xml`)
    taken.add(target)
    await writeLidcXml(target, message)
    written.push(target)
  }
  return written
}

async function readMessages(path: string): Promise<LidcXmlToWrite[]> {
  const value = parseJson((await readRegular(path, { limit: MAX_TEXT_BYTES })).toString('utf8'), path)
  const reader = new Reader(path)
  const file = reader.object(value, '')
  if (file['format'] === 'nodule-annotations/2' || file['format'] === 'nodule-annotations/1') {
    return reader.list(file, 'series', '').map((series, s) => annotations(reader, series, `/series/${s}`))
  }
  if (file['format'] === 'nodule-detections/1') return [detections(reader, file)]
  throw reader.wrong('/format', '"nodule-annotations/2" or "nodule-detections/1"', file['format'])
}

/** Typed access to parsed JSON; every miss is an error with its pointer. */
class Reader {
  constructor(private readonly path: string) {}

  wrong(place: string, expected: string, actual: unknown): NoduleError {
    return new NoduleError('FORMAT', 'not a file of annotations', {
      path: this.path,
      place,
      expected,
      actual: show(actual),
    })
  }
  object(value: unknown, place: string): Json {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw this.wrong(place, 'an object', value)
    return value as Json
  }
  list(of: Json, key: string, place: string): Json[] {
    const value = of[key]
    if (!Array.isArray(value)) throw this.wrong(`${place}/${key}`, 'a list', value)
    return value.map((item, n) => this.object(item, `${place}/${key}/${n}`))
  }
  number(of: Json, key: string, place: string): number {
    const value = of[key]
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw this.wrong(`${place}/${key}`, 'a number', value)
    return value
  }
  coordinate(of: Json, key: string, place: string): number {
    const value = this.number(of, key, place)
    if (value < -1 || value > MAX_COORDINATE)
      throw this.wrong(`${place}/${key}`, `a number from -1 to ${MAX_COORDINATE}`, value)
    return value
  }
  string(of: Json, key: string, place: string): string {
    const value = of[key]
    if (typeof value !== 'string') throw this.wrong(`${place}/${key}`, 'a text', value)
    return value
  }
}

type Session = SessionToWrite & {
  nodules: NoduleToWrite[]
  smallNodules: PointToWrite[]
  nonNodules: PointToWrite[]
}

function annotations(reader: Reader, series: Json, place: string): LidcXmlToWrite {
  const sessions: Session[] = reader.list(series, 'sessions', place).map((session, n) => ({
    readerId: reader.string(session, 'readerId', `${place}/sessions/${n}`),
    nodules: [],
    smallNodules: [],
    nonNodules: [],
  }))
  const sessionOf = (of: Json, at: string): Session => {
    const index = reader.number(of, 'session', at)
    const session = sessions[index]
    if (session === undefined) throw reader.wrong(`${at}/session`, `0 to ${sessions.length - 1}`, index)
    return session
  }
  reader.list(series, 'nodules', place).forEach((nodule, n) => {
    reader.list(nodule, 'marks', `${place}/nodules/${n}`).forEach((mark, m) => {
      const at = `${place}/nodules/${n}/marks/${m}`
      sessionOf(mark, at).nodules.push(readMark(reader, mark, at))
    })
  })
  for (const key of ['smallNodules', 'nonNodules'] as const) {
    reader.list(series, key, place).forEach((point, n) => {
      const at = `${place}/${key}/${n}`
      sessionOf(point, at)[key].push({
        id: reader.string(point, 'id', at),
        sopInstanceUid: reader.string(point, 'sopInstanceUid', at),
        z: reader.number(point, 'z', at),
        x: reader.number(point, 'x', at),
        y: reader.number(point, 'y', at),
      })
    })
  }
  return {
    studyInstanceUid: reader.string(series, 'studyInstanceUid', place),
    seriesInstanceUid: reader.string(series, 'seriesInstanceUid', place),
    sessions,
  }
}

function readMark(reader: Reader, mark: Json, place: string): NoduleToWrite {
  const ratings = mark['ratings']
  const rated = ratings === undefined ? undefined : reader.object(ratings, `${place}/ratings`)
  return {
    id: reader.string(mark, 'noduleId', place),
    ratings:
      rated === undefined
        ? undefined
        : (Object.fromEntries(
            RATING_NAMES.map((name) => [name, reader.number(rated, name, `${place}/ratings`)]),
          ) as NonNullable<NoduleToWrite['ratings']>),
    contours: reader.list(mark, 'contours', place).map((contour, c) => {
      const at = `${place}/contours/${c}`
      const points = contour['points']
      const isPair = (point: unknown): point is [number, number] =>
        Array.isArray(point) && point.length === 2 && point.every((value) => Number.isFinite(value))
      if (!Array.isArray(points) || points.length === 0 || !points.every(isPair)) {
        throw reader.wrong(`${at}/points`, 'a list of [x, y]', points)
      }
      return {
        sopInstanceUid: reader.string(contour, 'sopInstanceUid', at),
        z: reader.number(contour, 'z', at),
        inclusion: contour['inclusion'] !== false,
        points: points.map(([x, y]) => ({ x, y })),
      }
    }),
  }
}

/** Beyond any image; -1: the pixel before the first. */
const MAX_COORDINATE = 65536
/** Points of all contours: what a text can hold, and far above what a scan has. */
const MAX_POINTS = 4e6

function detections(reader: Reader, file: Json): LidcXmlToWrite {
  const ids = reader
    .list(file, 'nodules', '')
    .map((nodule, n) => reader.number(nodule, 'id', `/nodules/${n}`))
  const contours = new Map<unknown, NoduleToWrite['contours']>(ids.map((id) => [id, []]))
  let room = MAX_POINTS
  reader.list(file, 'slices', '').forEach((slice, s) => {
    reader.list(slice, 'boxes', `/slices/${s}`).forEach((box, b) => {
      const ofNodule = contours.get(box['nodule'])
      if (ofNodule === undefined) return
      const at = `/slices/${s}/boxes/${b}`
      const [x1, y1, x2, y2] = ['x1', 'y1', 'x2', 'y2'].map((key) => reader.coordinate(box, key, at))
      const points = around(Math.floor(x1!), Math.floor(y1!), Math.ceil(x2!), Math.ceil(y2!))
      room -= points.length
      if (room < 0) throw reader.wrong(at, `at most ${MAX_POINTS} pixels around all boxes`, 'more')
      ofNodule.push({
        sopInstanceUid: reader.string(slice, 'sopInstanceUid', `/slices/${s}`),
        z: reader.number(slice, 'z', `/slices/${s}`),
        inclusion: true,
        points,
      })
    })
  })
  const nodules = ids.map((id): NoduleToWrite => ({ id: String(id), contours: contours.get(id)! }))
  return {
    studyInstanceUid: reader.string(file, 'studyInstanceUid', ''),
    seriesInstanceUid: reader.string(file, 'seriesInstanceUid', ''),
    task: 'Detection by nodule',
    sessions: [
      {
        readerId: 'nodule',
        nodules: nodules.filter(({ contours }) => contours.length > 0),
        smallNodules: [],
        nonNodules: [],
      },
    ],
  }
}

/** The first pixels outside of the pixels [x1, x2) x [y1, y2), in order; from -1 on. */
function around(x1: number, y1: number, x2: number, y2: number): { x: number; y: number }[] {
  const [left, top, right, bottom] = [
    Math.max(-1, x1 - 1),
    Math.max(-1, y1 - 1),
    Math.max(x1, x2),
    Math.max(y1, y2),
  ]
  const points: { x: number; y: number }[] = []
  for (let x = left; x < right; x++) points.push({ x, y: top })
  for (let y = top; y < bottom; y++) points.push({ x: right, y })
  for (let x = right; x > left; x--) points.push({ x, y: bottom })
  for (let y = bottom; y > top; y--) points.push({ x: left, y })
  return points
}
