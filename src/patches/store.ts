import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { appendFile, open, rename, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { invalidParameter, show } from '../check.js'
import { PATCH_TARGETS } from '../config/patch_hypes.js'
import { NoduleError, fileError } from '../errors.js'
import { parseJson } from '../json.js'
import { makeOutputFolder, readText, writeFileAtomic } from '../files.js'
import type { EdgeBox } from '../geometry/box.js'
import type { Vector3 } from '../geometry/vector.js'
import { cubeBytes } from './cube.js'
import type { CubeSpec, Reach } from './cube.js'
import type { CubeLabels } from './targets.js'

/*
 * A folder of cubes: cubes.bin, the gray levels of all cubes one after the other, and cubes.jsonl: a line on how they
 * were made, then a line a source (a scan, a stack) with its cubes in the order of cubes.bin. While they are written both
 * end in .part; a source's bytes come before its line, so that what an interruption leaves behind can be cut off.
 */

/** Format 1 had air beside a stack, which told false marks from nodules: these lie in the middle of theirs. */
export const CUBES_FORMAT = 'nodule-cubes/2'

/** Why there is a cube: a nodule of the readers, a mark of the first stage, a point where nothing is. */
export type CubeReason = 'nodule' | 'mark' | 'background'
const REASONS: readonly CubeReason[] = ['nodule', 'mark', 'background']

/** A box of a mark on one slice of its volume, image pixels at the edges. */
export interface MarkBox extends EdgeBox {
  k: number
}

export interface CubeRecord {
  reason: CubeReason
  labels: CubeLabels
  /** Patient mm. */
  center: Vector3
  /** Voxel indices k, j, i. */
  voxel: Vector3
  /** Confidence of the first stage; absent where it marked nothing here. */
  score?: number
  /** The nodule of a positive cube, unique within its source: it may have several cubes. */
  finding?: string
  axialDiameterMm?: number
  /** Of a mark, mm. */
  boxDiameterMm?: number
  /** Of a false mark. */
  boxes?: MarkBox[]
  /** How far the volume reaches, where it is a stack cut out around a nodule. */
  reach?: Reach
}

/** The cubes of one volume. */
export interface CubeSource {
  /** Unique; of a volume that is examined again, the same. */
  key: string
  patientId: string
  seriesInstanceUid: string
  /** Name of the stack within the patient, where it is one. */
  stack?: string
  /** 'scan', 'phantom', 'stack' or 'insertion'. */
  origin: string
  cubes: CubeRecord[]
}

export interface CubesHeader {
  format: typeof CUBES_FORMAT
  /** What the stored cubes are. */
  spec: CubeSpec
  /** SHA-256 of the first-stage model whose marks are here; absent: no marks. */
  model?: string
  /** SHA-256 of that model's checkpoint. */
  checkpoint?: string
  /** What else must be the same for cubes to be added. */
  parameters: Record<string, unknown>
}

/** A folder of cubes that is read. */
export interface CubeStore {
  folder: string
  header: CubesHeader
  sources: CubeSource[]
  /** All cubes in order, with their sources. */
  cubes: { record: CubeRecord; source: CubeSource }[]
  /** The gray levels of a cube. Throws NoduleError (FILE). */
  read: (index: number) => Uint8Array
  close: () => void
}

const file = (folder: string, part: boolean): { bytes: string; index: string } => ({
  bytes: join(folder, `cubes.bin${part ? '.part' : ''}`),
  index: join(folder, `cubes.jsonl${part ? '.part' : ''}`),
})

/** The index of a finished folder of cubes: what they are of, without their gray levels. */
export const cubesIndex = (folder: string): string => file(folder, false).index

/** Opens a finished folder of cubes. Throws NoduleError (FILE, FORMAT). */
export async function openCubes(folder: string): Promise<CubeStore> {
  const { bytes: path, index } = file(folder, false)
  const part = file(folder, true)
  const isPart = (whole: string, unfinished: string): boolean => !existsSync(whole) && existsSync(unfinished)
  if (isPart(index, part.index) || isPart(path, part.bytes))
    throw new NoduleError('FILE', 'the cubes are not finished: `nodule mine` has to resume', { path: folder })
  const { header, sources } = parseIndex(readText(index, 'read cubes'), index, false)
  const cubes = sources.flatMap((source) => source.cubes.map((record) => ({ record, source })))
  const size = cubeBytes(header.spec)
  let length: number
  let handle: number
  try {
    length = (await stat(path)).size
    handle = openSync(path, 'r')
  } catch (error) {
    throw fileError(path, 'read cubes', error)
  }
  if (length !== size * cubes.length) {
    closeSync(handle)
    throw new NoduleError('FORMAT', 'the cubes do not fit their index', {
      path,
      expected: `${size * cubes.length} bytes (${cubes.length} cubes)`,
      actual: `${length} bytes`,
    })
  }
  return {
    folder,
    header,
    sources,
    cubes,
    read: (n) => {
      const cube = new Uint8Array(size)
      try {
        if (readSync(handle, cube, 0, size, n * size) === size) return cube
      } catch (error) {
        throw fileError(path, 'read cubes', error)
      }
      throw new NoduleError('FILE', 'the file has become shorter', { path })
    },
    close: () => closeSync(handle),
  }
}

/** Several folders of cubes as one. Throws NoduleError (FORMAT) where their cubes are of different grids. */
export function joinCubes(stores: readonly CubeStore[]): CubeStore {
  const [first] = stores
  if (first === undefined) throw invalidParameter('stores', 'at least one folder of cubes', stores)
  if (stores.length === 1) return first
  const spec = JSON.stringify(first.header.spec)
  const other = stores.find((store) => JSON.stringify(store.header.spec) !== spec)
  if (other !== undefined)
    throw new NoduleError('FORMAT', `the cubes are of another grid than those of ${first.folder}`, {
      path: other.folder,
      expected: spec,
      actual: JSON.stringify(other.header.spec),
    })
  const places = stores.flatMap((store) => store.cubes.map((_, index) => ({ store, index })))
  return {
    folder: stores.map((store) => store.folder).join(', '),
    header: first.header,
    cubes: stores.flatMap((store, n) =>
      store.cubes.map(({ record, source }) => ({ record, source: { ...source, key: `${n} ${source.key}` } })),
    ),
    sources: stores.flatMap((store) => store.sources),
    read: (index) => places[index]!.store.read(places[index]!.index),
    close: () => stores.forEach((store) => store.close()),
  }
}

/** Cubes that are being written. */
export interface CubeWriter {
  /** Keys of the sources that are there already. */
  done: ReadonlySet<string>
  cubes: number
  /** Adds a source with its gray levels. Throws NoduleError (FILE). */
  add: (source: CubeSource, bytes: Uint8Array) => Promise<void>
  /** Gives the files their names. */
  finish: () => Promise<void>
}

/**
 * Begins a folder of cubes, or goes on with one. Throws NoduleError FILE (there are cubes and they are not to be
 * resumed; cannot be written), FORMAT (those that are there were made otherwise).
 */
export async function writeCubes(
  folder: string,
  header: CubesHeader,
  o: { resume: boolean },
): Promise<CubeWriter> {
  await makeOutputFolder(folder)
  const part = file(folder, true)
  const whole = file(folder, false)
  const there = [part.index, whole.index].find((path) => existsSync(path))
  if (there !== undefined && !o.resume)
    throw new NoduleError('FILE', 'the folder holds cubes: resume or name another folder', { path: there })
  let sources: CubeSource[] = []
  try {
    if (there === undefined) {
      await writeFileAtomic(part.index, `${JSON.stringify(header)}\n`)
      await (await open(part.bytes, 'w')).close()
    } else {
      const text = readText(there, 'read cubes')
      const found = parseIndex(text, there, true)
      const [made, wanted] = [JSON.stringify(found.header), JSON.stringify(header)]
      if (made !== wanted)
        throw new NoduleError('FORMAT', 'the cubes that are there were made otherwise', {
          path: there,
          expected: made,
          actual: wanted,
        })
      ;({ sources } = found)
      // One by one: a run may have been killed between two of its renames, or before there were any bytes.
      if (!existsSync(part.bytes) && existsSync(whole.bytes)) await rename(whole.bytes, part.bytes)
      if (there === whole.index) await rename(whole.index, part.index)
      await (await open(part.bytes, 'a')).close()
      const lines = [header, ...sources].map((line) => `${JSON.stringify(line)}\n`)
      await writeFileAtomic(part.index, lines.join(''))
      const count = sources.reduce((sum, source) => sum + source.cubes.length, 0)
      const bytes = count * cubeBytes(header.spec)
      if ((await stat(part.bytes)).size < bytes)
        throw new NoduleError('FORMAT', 'the cubes do not fit their index', {
          path: part.bytes,
          expected: `${bytes} bytes`,
          actual: `${(await stat(part.bytes)).size} bytes`,
        })
      await truncate(part.bytes, bytes)
    }
  } catch (error) {
    throw error instanceof NoduleError ? error : fileError(folder, 'write cubes', error)
  }
  const done = new Set(sources.map((source) => source.key))
  const writer: CubeWriter = {
    done,
    cubes: sources.reduce((sum, source) => sum + source.cubes.length, 0),
    add: async (source, bytes) => {
      try {
        await appendFile(part.bytes, bytes)
        await appendFile(part.index, `${JSON.stringify(source)}\n`)
      } catch (error) {
        throw fileError(folder, 'write cubes', error)
      }
      done.add(source.key)
      writer.cubes += source.cubes.length
    },
    finish: async () => {
      try {
        await rename(part.bytes, whole.bytes)
        await rename(part.index, whole.index)
      } catch (error) {
        throw fileError(folder, 'write cubes', error)
      }
    },
  }
  return writer
}

/** @param cut the last line may be cut off; it is then left out */
function parseIndex(
  text: string,
  path: string,
  cut: boolean,
): { header: CubesHeader; sources: CubeSource[] } {
  const lines = text.split('\n')
  // After the last line end nothing follows, or a line that was not finished.
  const rest = lines.pop()
  if (rest !== '' && !cut)
    throw new NoduleError('FORMAT', 'the last line is cut off', { path, place: `line ${lines.length + 1}` })
  const objects = lines.map((line, index) => parseJson(line, path, `line ${index + 1}`))
  const wrong = (line: number, place: string, expected: string, actual: unknown): NoduleError =>
    new NoduleError('FORMAT', 'not an index of cubes', {
      path,
      place: `line ${line} ${place}`,
      expected,
      actual: show(actual),
    })
  const [header, ...sources] = objects
  if (!isObject(header) || header['format'] !== CUBES_FORMAT)
    throw wrong(1, '/format', CUBES_FORMAT, isObject(header) ? header['format'] : header)
  if (!isObject(header['spec']) || !isObject(header['spec']['fine']))
    throw wrong(1, '/spec', 'object with "fine"', header['spec'])
  sources.forEach((source, index) => {
    const line = index + 2
    if (!isObject(source)) throw wrong(line, '', 'object', source)
    for (const key of ['key', 'patientId', 'seriesInstanceUid', 'origin'])
      if (typeof source[key] !== 'string') throw wrong(line, `/${key}`, 'string', source[key])
    if (!Array.isArray(source['cubes'])) throw wrong(line, '/cubes', 'array', source['cubes'])
    source['cubes'].forEach((cube: unknown, n) =>
      checkCube(cube, (place, ...rest) => wrong(line, `/cubes/${n}${place}`, ...rest)),
    )
  })
  return { header: header as unknown as CubesHeader, sources: sources as CubeSource[] }
}

function checkCube(
  cube: unknown,
  wrong: (place: string, expected: string, actual: unknown) => NoduleError,
): void {
  if (!isObject(cube)) throw wrong('', 'object', cube)
  if (!REASONS.some((reason) => reason === cube['reason']))
    throw wrong('/reason', `one of ${REASONS.join(', ')}`, cube['reason'])
  const { labels, score, reach } = cube
  if (!isObject(labels)) throw wrong('/labels', 'object', labels)
  for (const [target, label] of Object.entries(labels)) {
    if (!PATCH_TARGETS.some((known) => known === target))
      throw wrong('/labels', `of ${PATCH_TARGETS.join(', ')}`, target)
    if (typeof label !== 'number' || !Number.isFinite(label))
      throw wrong(`/labels/${target}`, 'finite number', label)
  }
  if (score !== undefined && !(typeof score === 'number' && score >= 0 && score <= 1))
    throw wrong('/score', 'number between 0 and 1', score)
  if (reach === undefined) return
  if (!isObject(reach)) throw wrong('/reach', 'object', reach)
  const lengths = { ends: 2, sides: 4 }
  for (const [name, length] of Object.entries(lengths)) {
    const values = reach[name]
    if (!(Array.isArray(values) && values.length === length && values.every((mm) => mm >= 0 && mm < 1e6)))
      throw wrong(`/reach/${name}`, `${length} numbers from 0 up`, values)
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
