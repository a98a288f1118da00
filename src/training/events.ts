import { appendFile, open, readdir, rename, rm, writeFile } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { masked } from '../crc32c.js'
import { fileError } from '../errors.js'
import { makeFolder } from '../files.js'
import { append, greatest } from '../lists.js'
import { forgetTemporary, temporaryFor } from '../temporaries.js'
import { Event } from './event_schema.js'
import { scalar } from './summaries.js'
import type { SummaryValue } from './summaries.js'

/** Events after this one's step that an earlier file holds are void: TensorBoard drops them. */
const SESSION_START = 1

/** One TFRecord: length (uint64), its checksum, data, their checksum; little endian. */
export function tfRecord(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(16 + data.length)
  const fields = new DataView(record.buffer)
  fields.setBigUint64(0, BigInt(data.length), true)
  fields.setUint32(8, masked(record.subarray(0, 8)), true)
  record.set(data, 12)
  fields.setUint32(12 + data.length, masked(data), true)
  return record
}

const encode = (event: Record<string, unknown>): Uint8Array =>
  tfRecord(Event.encode(Event.create(event)).finish())

/**
 * The whole TFRecords of a file, one at a time: a file may be larger than memory. A last one that was cut off, and what
 * follows a damaged one, is left out.
 */
async function* tfRecords(file: FileHandle, size: number): AsyncGenerator<{ record: Buffer; data: Buffer }> {
  for (let at = 0; at + 16 <= size;) {
    const head = await readAt(file, at, 12)
    if (head.readUInt32LE(8) !== masked(head.subarray(0, 8))) return
    const end = at + 16 + Number(head.readBigUInt64LE(0))
    if (end > size) return
    const record = await readAt(file, at, end - at)
    const data = record.subarray(12, -4)
    if (record.readUInt32LE(record.length - 4) !== masked(data)) return
    yield { record, data }
    at = end
  }
}

async function readAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await file.read(buffer, 0, length, at)
  // Cut off meanwhile: zeros are no checksum of theirs.
  return buffer.fill(0, bytesRead)
}

/**
 * Takes the values of a step and of later ones out of a folder's event files, so that a run that goes on from that
 * step writes none twice (not every reader drops what a later session start makes void); files that hold no values
 * then are removed. Throws NoduleError (FILE).
 *
 * @param wanted a step
 * @returns the histograms of the step `wanted` that were taken out: those of gradients cannot be made anew
 */
export async function dropEventsFrom(folder: string, step: number, wanted?: number): Promise<SummaryValue[]> {
  const histograms: SummaryValue[] = []
  for (const name of await eventFiles(folder)) {
    const path = join(folder, name)
    try {
      const dropped = await shorten(path, step, wanted)
      append(
        histograms,
        dropped.filter(({ histo }) => histo != null),
      )
    } catch (error) {
      throw fileError(path, 'shorten', error)
    }
  }
  return histograms
}

/** @returns the values of the step `wanted` that are no longer there */
async function shorten(path: string, step: number, wanted: number | undefined): Promise<SummaryValue[]> {
  const dropped: SummaryValue[] = []
  const before = await open(path)
  const temporary = temporaryFor(path)
  try {
    const { size } = await before.stat()
    const after = await open(temporary, 'w')
    let [kept, values] = [0, 0]
    try {
      for await (const { record, data } of tfRecords(before, size)) {
        const event = Event.decode(data) as unknown as { step: unknown; summary?: { value: SummaryValue[] } }
        // int64: a Long object, or a number where the package for those is not installed.
        const at = Number(event.step)
        if (event.summary != null && at >= step) {
          if (at === wanted) append(dropped, event.summary.value)
          continue
        }
        if (event.summary != null) values++
        await after.writeFile(record)
        kept += record.length
      }
    } finally {
      await after.close()
    }
    if (values === 0) await rm(path)
    else if (kept < size) await rename(temporary, path)
    return dropped
  } finally {
    await before.close()
    await rm(temporary, { force: true })
    forgetTemporary(temporary)
  }
}

/** TensorBoard looks for this part of the name, and reads the files of a folder in the order of their names. */
const EVENT_FILE_PREFIX = 'events.out.tfevents.'

/** A name (without the machine's) for the folder's next event file, with a second that comes after those of the others. */
export async function nextEventFile(folder: string): Promise<string> {
  const seconds = (await eventFiles(folder)).map((name) => Number.parseInt(name.split('.')[3]!, 10) || 0)
  const second = greatest(
    seconds.map((other) => other + 1),
    Math.floor(Date.now() / 1000),
  )
  return join(folder, `${EVENT_FILE_PREFIX}${second}.nodule.${process.pid}`)
}

async function eventFiles(folder: string): Promise<string[]> {
  try {
    // Not what a run that was killed left of one.
    return (await readdir(folder)).filter(
      (name) => name.startsWith(EVENT_FILE_PREFIX) && !name.endsWith('.part'),
    )
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw fileError(folder, 'list event files', error)
  }
}

/** Writes one event file: TFRecords that hold Event messages. */
export class EventWriter {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /**
   * Starts a file at a step; what older files in the folder hold of later steps becomes void.
   * @param seconds wall time, seconds since 1970
   */
  static async create(path: string, step: number, seconds = Date.now() / 1000): Promise<EventWriter> {
    const head = [
      encode({ wall_time: seconds, step: 0, file_version: 'brain.Event:2' }),
      encode({ wall_time: seconds, step, session_log: { status: SESSION_START } }),
    ]
    try {
      await makeFolder(dirname(path))
      await writeFile(path, Buffer.concat(head))
    } catch (error) {
      throw fileError(path, 'write', error)
    }
    return new EventWriter(path)
  }

  /** Appends numbers by their tags. */
  async scalars(step: number, values: Record<string, number>, seconds?: number): Promise<void> {
    await this.write(
      step,
      Object.entries(values).map(([tag, value]) => scalar(tag, value)),
      seconds,
    )
  }

  /** Appends the values of a step. */
  async write(step: number, values: readonly SummaryValue[], seconds = Date.now() / 1000): Promise<void> {
    await this.#append({ wall_time: seconds, step, summary: { value: values } })
  }

  /** Appends a graph. */
  async graph(definition: Uint8Array, seconds = Date.now() / 1000): Promise<void> {
    await this.#append({ wall_time: seconds, step: 0, graph_def: definition })
  }

  async #append(event: Record<string, unknown>): Promise<void> {
    try {
      await appendFile(this.path, encode(event))
    } catch (error) {
      throw fileError(this.path, 'write', error)
    }
  }
}
