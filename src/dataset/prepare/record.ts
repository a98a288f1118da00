import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Series } from '../../dicom/index.js'
import { fileError } from '../../errors.js'
import { sha256 } from '../../hash.js'
import { writeFileAtomic } from '../../files.js'
import { parseList } from '../list.js'
import type { ListEntry, NoduleMeasures } from '../list.js'
import type { StackEntry } from '../stacks/read_index.js'
import { stackFiles } from '../stacks/read_stack.js'
import type { FrameParameters } from './parameters.js'
import { readRegular } from '../../read_files.js'
import { checkShape, parseJson } from '../../json.js'
import type { Shape } from '../../json.js'

/** Raised when the same input and parameters would give other frames or entries: older records are then done again. */
const RECORD_FORMAT = 'nodule-scan/4'

/** What was made of one scan; kept as OUTPUT/scans/<patient>_<series UID>.json. */
export interface ScanRecord {
  format: string
  /** Hash of everything that the frames depend on. */
  key: string
  patientId: string
  studyInstanceUid: string
  seriesInstanceUid: string
  /** Which of several records of a series; absent: the scan as it is. */
  part?: 'insertions'
  slices: number
  nodules: (NoduleMeasures & { id: string; accepted: boolean })[]
  /** Image paths relative to the output folder. */
  entries: ListEntry[]
  /** SHA-256 of each frame file, by path relative to the output folder. */
  frames: Record<string, string>
  warnings: string[]
  /** Files that could not be used; the rest of the record was made without them. */
  damaged?: { path: string; reason: string }[]
}

export type RecordName = Pick<ScanRecord, 'patientId' | 'seriesInstanceUid' | 'part'>

/**
 * The key of a scan: parameters, and for each file its SOP UID, size and time of change (content would mean to read
 * everything again, which is what the key is to save), and the content of its annotation files. Folders do not count.
 * @param more further values that the record depends on
 */
export async function scanKey(
  series: Series,
  annotationFiles: readonly string[],
  parameters: FrameParameters,
  more: readonly unknown[] = [],
): Promise<string> {
  const hash = createHash('sha256')
  hash.update(
    JSON.stringify([RECORD_FORMAT, parameters, ...more, series.seriesInstanceUid, series.patientId]),
  )
  for (const slice of series.slices) {
    try {
      const { size, mtimeMs } = await stat(slice.path)
      hash.update(JSON.stringify([slice.sopInstanceUid, slice.frame, size, mtimeMs]))
    } catch (error) {
      throw fileError(slice.path, 'read', error)
    }
  }
  hash.update(JSON.stringify(await contentHashes(annotationFiles)))
  return hash.digest('hex')
}

/** The key of the stacks of a series: as of a scan, with `more` likewise; files that are missing count as that. */
export async function stacksKey(
  folder: string,
  stacks: readonly StackEntry[],
  annotationFiles: readonly string[],
  parameters: FrameParameters,
  more: readonly unknown[] = [],
): Promise<string> {
  const hash = createHash('sha256')
  hash.update(JSON.stringify([RECORD_FORMAT, parameters, 'stacks', ...more]))
  for (const entry of stacks) {
    const files = stackFiles(folder, entry)
    // Where the stack stands in the index does not count.
    hash.update(JSON.stringify({ ...entry, line: 0 }))
    for (const path of [files.slices, files.readers]) {
      const { size, mtimeMs } = (await stat(path).catch(() => undefined)) ?? { size: -1, mtimeMs: 0 }
      hash.update(JSON.stringify([size, mtimeMs]))
    }
  }
  hash.update(JSON.stringify(await contentHashes(annotationFiles)))
  return hash.digest('hex')
}

async function contentHashes(paths: readonly string[]): Promise<string[]> {
  const hashes: string[] = []
  for (const path of paths) {
    try {
      hashes.push(sha256(await readRegular(path)))
    } catch (error) {
      throw fileError(path, 'read', error)
    }
  }
  return hashes.sort()
}

function recordPath(output: string, name: RecordName): string {
  const part = name.part === undefined ? '' : `_${name.part}`
  return join(output, 'scans', `${scanName(name)}${part}.json`)
}

/** Begins the names of the files of a scan, those of no other: two patients may share a UID. */
export function scanName({ patientId, seriesInstanceUid }: Omit<RecordName, 'part'>): string {
  return `${fileName(patientId)}_${fileName(seriesInstanceUid)}`
}

const MAX_NAME = 100

/**
 * A text as part of a file name: letters, digits, dot, minus; everything else becomes an underscore, and what is long is
 * cut. Where that changes it, a hash follows, so that no two texts have one name.
 */
export function fileName(text: string): string {
  const name = text.replace(/[^\w.-]/g, '_').slice(0, MAX_NAME)
  const dots = /^\.*$/.test(name)
  return name === text && !dots ? name : `${dots ? '_' : ''}${name}-${sha256(text).slice(0, 8)}`
}

const RECORD: Shape = {
  ...{ format: 'text', key: 'text', patientId: 'text', studyInstanceUid: 'text', seriesInstanceUid: 'text' },
  slices: 'count',
  nodules: [{ id: 'text' }],
  frames: {},
  warnings: ['text'],
  'damaged?': [{ path: 'text', reason: 'text' }],
}

/** The record of an earlier run, or undefined where there is none that can be used. */
export async function readRecord(output: string, name: RecordName): Promise<ScanRecord | undefined> {
  const path = recordPath(output, name)
  try {
    const record = parseJson(await readFile(path, 'utf8'), path)
    checkShape(record, RECORD, path, 'not a record of a scan')
    parseList((record as ScanRecord).entries, path)
    return (record as ScanRecord).format === RECORD_FORMAT ? (record as ScanRecord) : undefined
  } catch {
    // Absent, cut off or damaged: the scan is done again.
    return undefined
  }
}

/** Whether the frames that a record names are all still there. */
export function framesExist(output: string, record: ScanRecord): boolean {
  return Object.keys(record.frames).every((path) => existsSync(join(output, path)))
}

/** Marks a record as of no options, while its frames are written over: what ends in between leaves a mixture of both. */
export async function outdate(output: string, record: ScanRecord): Promise<void> {
  await writeFileAtomic(recordPath(output, record), `${JSON.stringify({ ...record, key: '' })}\n`)
}

/** Writes the record, after its frames; frames that only the old record names are removed. */
export async function writeRecord(
  output: string,
  record: Omit<ScanRecord, 'format'>,
  old: ScanRecord | undefined,
): Promise<ScanRecord> {
  const whole: ScanRecord = { format: RECORD_FORMAT, ...record }
  await writeFileAtomic(recordPath(output, record), `${JSON.stringify(whole)}\n`)
  for (const path of Object.keys(old?.frames ?? {}))
    if (!Object.hasOwn(record.frames, path) && isFramePath(path))
      await rm(join(output, path), { force: true })
  return whole
}

/** A record is a file that anybody can edit: only what looks like one of our frames is ever removed. */
function isFramePath(path: string): boolean {
  return /^frames\/[\w.-]+\.png$/.test(path)
}
