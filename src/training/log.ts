import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import { EventWriter, dropEventsFrom, nextEventFile } from './events.js'
import { MAX_TEXT_BYTES, readRegular } from '../read_files.js'

/** What is logged every display_iter steps; the train values are means since the last entry. */
export interface LogEntry {
  step: number
  lr: number
  loss: number
  confidence: number
  box: number
  rezoomConfidence?: number
  delta?: number
  /** Global norm of the gradients before the clipping. */
  gradientNorm: number
  /** Share of the slots of a test batch that agree with the matching, in [0, 1]. */
  testAccuracy?: number
  testLoss?: number
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
  train: string | string[]
  test?: string
}

/** Adds a line to run.jsonl in a run's folder; a run that begins anew begins the file anew. Throws NoduleError (FILE). */
export async function recordStart(folder: string, start: RunStart): Promise<void> {
  const path = join(folder, 'run.jsonl')
  const line = `${JSON.stringify({ time: new Date().toISOString(), ...start })}\n`
  if (start.step === 0) return writeFileAtomic(path, line)
  try {
    await appendFile(path, line)
  } catch (error) {
    throw fileError(path, 'write', error)
  }
}

/** Numbers of a step by name. */
type Values = { step: number } & Partial<Record<string, number>>

/** Writes log.jsonl and events/ in a run's folder. */
export interface Log<Entry = LogEntry> {
  write: (entry: Entry) => Promise<void>
}

/** The log of a detector's run; see `openLogOf`. */
export async function openLog(folder: string, step: number): Promise<Log> {
  return openLogOf<LogEntry>(folder, step, TAGS)
}

/**
 * Starts a run's log or goes on with it; `tags` are the values' names in the event files. What an earlier call logged of `step`, which is done next, and of later ones
 * is dropped: it was killed after its last checkpoint. Throws NoduleError (FILE).
 */
export async function openLogOf<Entry extends { step: number }>(
  folder: string,
  step: number,
  tags: Readonly<Record<Exclude<keyof Entry, 'step'>, string>>,
): Promise<Log<Entry>> {
  const path = join(folder, 'log.jsonl')
  const eventFolder = join(folder, 'events')
  await writeFileAtomic(path, await linesBefore(path, step))
  await dropEventsFrom(eventFolder, step)
  const events = await EventWriter.create(await nextEventFile(eventFolder), step)
  return {
    write: async (entry) => {
      try {
        await appendFile(path, `${JSON.stringify(entry)}\n`)
      } catch (error) {
        throw fileError(path, 'write', error)
      }
      const { step: at, ...values } = entry as Values
      const named = Object.entries(values).map(([name, value]) => [tags[name as keyof typeof tags], value])
      await events.scalars(at, Object.fromEntries(named) as Record<string, number>)
    },
  }
}

async function linesBefore(path: string, step: number): Promise<string> {
  let content: string
  try {
    content = (await readRegular(path, { limit: MAX_TEXT_BYTES })).toString('utf8')
  } catch (error) {
    const { cause } = error as { cause?: { code?: string } }
    if (cause?.code === 'ENOENT') return ''
    throw error
  }
  const kept = content.split('\n').filter((line) => {
    try {
      return (JSON.parse(line) as LogEntry).step < step
    } catch {
      // A line that was cut off when the run ended.
      return false
    }
  })
  return kept.map((line) => `${line}\n`).join('')
}

const TAGS: Record<Exclude<keyof LogEntry, 'step'>, string> = {
  lr: 'learning_rate',
  loss: 'train/loss',
  confidence: 'train/confidence_loss',
  box: 'train/box_loss',
  rezoomConfidence: 'train/rezoom_confidence_loss',
  delta: 'train/delta_box_loss',
  gradientNorm: 'train/gradient_norm',
  testAccuracy: 'test/accuracy',
  testLoss: 'test/loss',
  msPerImage: 'ms_per_image',
}
