/** The rule of src/limits.ts, held against what one file makes the package do. */
import { NoduleError } from '../../src/errors.js'
import { memoryLimit, timeLimit } from '../../src/limits.js'
import { canMeasurePeak, peakOf } from '../dicom/memory.js'

export interface Examined {
  /** Or refused, with a NoduleError. */
  isRead: boolean
  /** Of the processor: the machine may be busy with other work. */
  ms: number
  /** By how much the process grew, and how large it was, at the peak, bytes; 0 where the system does not tell. */
  memory: number
  rss: number
  /** What broke the rule. */
  fault?: string
}

/** Does the work with a file of `size` bytes. */
export async function examine(
  work: () => unknown,
  size: number,
  limit: (size: number) => number = memoryLimit,
): Promise<Examined> {
  let found = await once(work)
  // Garbage of earlier files may have been collected late: what the file itself costs, it costs again.
  if (found.fault === undefined && (found.memory > limit(size) || found.ms > timeLimit(size)))
    found = await once(work)
  if (found.fault !== undefined) return found
  if (found.memory > limit(size)) return { ...found, fault: `took ${found.memory} bytes of ${limit(size)}` }
  if (found.ms > timeLimit(size)) return { ...found, fault: `took ${found.ms} ms of ${timeLimit(size)}` }
  return found
}

async function once(work: () => unknown): Promise<Examined> {
  const result: Examined = { isRead: true, ms: 0, memory: 0, rss: 0 }
  const timed = async (): Promise<void> => {
    const start = process.cpuUsage()
    try {
      await work()
    } catch (error) {
      result.isRead = false
      if (!(error instanceof NoduleError))
        result.fault = error instanceof Error ? (error.stack ?? error.message) : String(error)
    }
    const { user, system } = process.cpuUsage(start)
    result.ms = (user + system) / 1000
  }
  if (canMeasurePeak) Object.assign(result, await peakOf(timed))
  else await timed()
  return result
}
