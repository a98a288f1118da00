import { readFileSync, writeFileSync } from 'node:fs'

/** Bytes of a line of /proc/self/status: VmRSS is the memory in use now, VmHWM the most since the last reset. */
function status(name: 'VmRSS' | 'VmHWM'): number {
  const line = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))
  if (line === null) throw new Error(`no ${name} in /proc/self/status`)
  return 1024 * Number(line[1])
}

/** Whether this system tells the peak of a process's memory and lets it be reset (Linux). */
export const canMeasurePeak = ((): boolean => {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
    return status('VmHWM') > 0
  } catch {
    return false
  }
})()

/**
 * By how many bytes the whole process grew at its peak while `work` ran, and how large it was: objects, typed arrays,
 * WebAssembly, native code. What is freed before the end counts, and so does garbage.
 */
export async function peakOf(work: () => Promise<unknown>): Promise<{ memory: number; rss: number }> {
  writeFileSync('/proc/self/clear_refs', '5')
  const before = status('VmRSS')
  await work()
  const rss = status('VmHWM')
  return { memory: rss - before, rss }
}

/** By how many bytes it grew. */
export async function peakGrowth(work: () => Promise<unknown>): Promise<number> {
  return (await peakOf(work)).memory
}
