import { appendFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { fileError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import { isObject } from '../json.js'
import { MAX_TEXT_BYTES, readRegular } from '../read_files.js'
import type { Digests } from './digests.js'
import { EventWriter, dropEventsFrom, nextEventFile } from './events.js'
import { scalar } from './summaries.js'
import type { SummaryValue } from './summaries.js'

/**
 * What is logged every display_iter steps; the train values are means since the last entry, the test values of one
 * batch of the test list.
 */
export interface LogEntry {
  step: number
  lr: number
  loss: number
  confidence: number
  box: number
  rezoomConfidence?: number
  delta?: number
  /** Share of the slots that agree with the matching, in [0, 1]. */
  accuracy: number
  /** Global norm of the gradients before the clipping. */
  gradientNorm: number
  testAccuracy?: number
  testLoss?: number
  testConfidence?: number
  testBox?: number
  testRezoomConfidence?: number
  testDelta?: number
  /** Of the whole test list, every validate_iter steps and at the end: area under the precision-recall curve, IoU 0.5. */
  testAp?: number
  /** The recall at precision 0.735, which the reference states. */
  testRecall?: number
  msPerImage: number
}

/** TensorBox's log line; without a test list it has no accuracy. */
export function logLine(entry: LogEntry): string {
  const parts = [
    `Step: ${entry.step}`,
    `lr: ${entry.lr.toFixed(6)}`,
    `Train Loss: ${entry.loss.toFixed(2)}`,
    ...(entry.testAccuracy === undefined
      ? []
      : [`Softmax Test Accuracy: ${(entry.testAccuracy * 100).toFixed(1)}%`]),
    ...(entry.testAp === undefined ? [] : [`Test AP: ${entry.testAp.toFixed(4)}`]),
    `Time/image (ms): ${entry.msPerImage.toFixed(1)}`,
  ]
  return parts.join(', ')
}

/** A start of a run: what its results depend on beside hypes.json. */
export interface RunStart {
  nodule: string
  node: string
  engine: string
  seed: number
  /** Steps done before. */
  step: number
  /** Lists or folders of cubes. */
  train: readonly string[]
  test: string | undefined
  /** Of these, as they were. */
  digests?: Digests | undefined
  /** Images that were not there were left out. */
  skipMissing?: boolean | undefined
}

/** The data of a start as run.jsonl has them: relative to the run's folder, since a run is passed on without the names of a machine. */
interface RecordedData {
  train: string | string[]
  test?: string
}

/** The data of an earlier start, and how they were taken. Runs of nodule 0.1's first versions tell no more than the data. */
interface EarlierData extends RecordedData {
  digests: Readonly<Partial<Record<string, unknown>>>
  skipMissing: boolean
}

export function recordedData(
  folder: string,
  { train, test }: Pick<RunStart, 'train' | 'test'>,
): RecordedData {
  const near = (place: string): string => relative(resolve(folder), resolve(place))
  const all = train.map(near)
  return { train: all.length === 1 ? all[0]! : all, ...(test === undefined ? {} : { test: near(test) }) }
}

/** A line about each start of a run, in its folder. */
export const RUN_FILE = 'run.jsonl'

/** The last line of run.jsonl; empty where it was cut off when the machine stopped. */
export function lastStartOf(content: string): Partial<Record<keyof RunStart, unknown>> {
  try {
    return JSON.parse(content.trim().split('\n').at(-1)!) as object
  } catch {
    return {}
  }
}

/** The data of the last start in a run's folder; undefined where run.jsonl does not tell. */
export async function lastData(folder: string): Promise<EarlierData | undefined> {
  try {
    const content = await readRegular(join(folder, RUN_FILE), { limit: MAX_TEXT_BYTES })
    const { digests, skipMissing, ...data } = lastStartOf(content.toString('utf8'))
    const { train, test } = data as Partial<RecordedData>
    const places = [train ?? [], test ?? []].flat()
    if (train === undefined || !places.every((place) => typeof place === 'string')) return undefined
    // Absolute in older runs.
    const found = (place: string): string => resolve(folder, place)
    return {
      ...recordedData(folder, {
        train: [train].flat().map(found),
        test: test === undefined ? undefined : found(test),
      }),
      digests: isObject(digests) ? digests : {},
      skipMissing: skipMissing === true,
    }
  } catch {
    // A run goes on without it.
    return undefined
  }
}

/** Adds a line to run.jsonl in a run's folder; a run that begins anew begins the file anew. Throws NoduleError (FILE). */
export async function recordStart(folder: string, start: RunStart): Promise<void> {
  const path = join(folder, RUN_FILE)
  const shown = { ...start, ...recordedData(folder, start) }
  const line = `${JSON.stringify({ time: new Date().toISOString(), ...shown })}\n`
  if (start.step === 0) return writeFileAtomic(path, line)
  const before = await readRegular(path, { limit: MAX_TEXT_BYTES }).catch(() => Buffer.alloc(0))
  // A line that was cut off would take this one with it.
  const isCut = before.length > 0 && before.at(-1) !== '\n'.codePointAt(0)
  try {
    await appendFile(path, isCut ? `\n${line}` : line)
  } catch (error) {
    throw fileError(path, 'write', error)
  }
}

/** Numbers of a step by name. */
type Values = { step: number } & Partial<Record<string, number>>

/** Names of an entry's values in the event files. */
export type Tags<Entry> = Readonly<Record<Exclude<keyof Entry, 'step'>, string>>

/** What a run's event files begin with. */
export interface LogHead {
  /** Values that belong to the run as a whole. */
  values: readonly SummaryValue[]
  /** A GraphDef. */
  graph?: Uint8Array | undefined
  /** The step whose histograms, if they are dropped, are handed back. */
  before?: number | undefined
}

/** Writes log.jsonl and events/ in a run's folder. */
export interface Log<Entry> {
  /** @param more what only the event files get */
  write: (entry: Entry, more?: readonly SummaryValue[]) => Promise<void>
  /** Of `LogHead.before`. */
  histograms: readonly SummaryValue[]
}

/**
 * Starts a run's log or goes on with it. What an earlier call logged of the step `logged` and of later ones is dropped:
 * it was killed after its last checkpoint, or it closed the log of a run that now goes on. Throws NoduleError (FILE).
 */
export async function openLog<Entry extends { step: number }>(
  folder: string,
  logged: number,
  tags: Tags<Entry>,
  head: LogHead = { values: [] },
): Promise<Log<Entry>> {
  const path = join(folder, 'log.jsonl')
  const eventFolder = join(folder, 'events')
  const before = await entriesBefore(path, logged)
  await writeFileAtomic(path, before.map((line) => `${line}\n`).join(''))
  const histograms = await dropEventsFrom(eventFolder, logged, head.before)
  const events = await EventWriter.create(await nextEventFile(eventFolder), logged)
  if (logged === 0) {
    if (head.graph !== undefined) await events.graph(head.graph)
    if (head.values.length > 0) await events.write(0, head.values)
  }
  const smooth = new Smooth()
  const named = (entry: Values): [string, number][] =>
    Object.entries(entry).flatMap(([name, value]): [string, number][] => {
      const tag = name === 'step' ? undefined : tags[name as keyof typeof tags]
      return tag === undefined || value === undefined ? [] : [[tag, value]]
    })
  // The averages go on where they were.
  for (const line of before)
    for (const [tag, value] of named(JSON.parse(line) as Values)) smooth.add(tag, value)
  return {
    histograms,
    write: async (entry, more = []) => {
      try {
        await appendFile(path, `${JSON.stringify(entry)}\n`)
      } catch (error) {
        throw fileError(path, 'write', error)
      }
      const values = named(entry as Values).flatMap(([tag, value]) => {
        const average = smooth.add(tag, value)
        return [scalar(tag, value), ...(average === undefined ? [] : [scalar(`${tag}/smooth`, average)])]
      })
      await events.write(entry.step, [...values, ...more])
    },
  }
}

/** Decay a log entry of the smooth twins. */
const SMOOTH_DECAY = 0.95

/**
 * TensorBox's moving averages of losses and accuracies: from 0, divided by what the weights sum up to (as TensorFlow's
 * ExponentialMovingAverage does for what is no variable).
 */
class Smooth {
  readonly #sums = new Map<string, { sum: number; weight: number }>()

  /** @returns the average; undefined for what has none */
  add(tag: string, value: number): number | undefined {
    if (!/^(?:train|test)\/.*(?:loss|accuracy)$/.test(tag)) return undefined
    const { sum, weight } = this.#sums.get(tag) ?? { sum: 0, weight: 0 }
    const next = {
      sum: sum * SMOOTH_DECAY + value * (1 - SMOOTH_DECAY),
      weight: weight * SMOOTH_DECAY + (1 - SMOOTH_DECAY),
    }
    this.#sums.set(tag, next)
    return next.sum / next.weight
  }
}

/** The whole lines of a log before a step. */
async function entriesBefore(path: string, step: number): Promise<string[]> {
  let content: string
  try {
    content = (await readRegular(path, { limit: MAX_TEXT_BYTES })).toString('utf8')
  } catch (error) {
    const { cause } = error as { cause?: { code?: string } }
    if (cause?.code === 'ENOENT') return []
    throw error
  }
  return content.split('\n').filter((line) => {
    try {
      return (JSON.parse(line) as LogEntry).step < step
    } catch {
      // A line that was cut off when the run ended.
      return false
    }
  })
}

/** TensorBox's names, and ours for what it has not. */
export const DETECTOR_TAGS: Tags<LogEntry> = {
  lr: 'learning_rate',
  loss: 'train/loss',
  confidence: 'train/confidences_loss',
  box: 'train/regression_loss',
  rezoomConfidence: 'train/rezoom_confidences_loss',
  delta: 'train/rezoom_regression_loss',
  accuracy: 'train/accuracy',
  gradientNorm: 'train/gradient_norm',
  testAccuracy: 'test/accuracy',
  testLoss: 'test/loss',
  testConfidence: 'test/confidences_loss',
  testBox: 'test/regression_loss',
  testRezoomConfidence: 'test/rezoom_confidences_loss',
  testDelta: 'test/rezoom_regression_loss',
  testAp: 'test/ap',
  testRecall: 'test/recall_at_precision_0.735',
  msPerImage: 'ms_per_image',
}
