/** Who wrote a file: a process, of one run of one system, that may have ended long ago. */
import { readFileSync, readlinkSync } from 'node:fs'

/** The run of the system that numbers the processes: on another machine, or in another container, a number says nothing. */
export function thisSystem(): string {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()} ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return process.platform
  }
}

/**
 * When a process of this system started, in the system's own count: a number may be given to another process later. ''
 * where the system does not tell; undefined where there is no such process, or it was killed.
 */
export function startOf(pid: number): string | undefined {
  if (pid <= 0) return undefined
  if (pid !== process.pid)
    try {
      process.kill(pid, 0)
    } catch (error) {
      // EPERM: there is one, of another user.
      if ((error as NodeJS.ErrnoException).code !== 'EPERM') return undefined
    }
  const { state, started } = processOf(pid)
  // Killed, though its number stays until its parent asks for it: in containers nobody may.
  return state === 'Z' || state === 'X' ? undefined : started
}

/** Linux tells a process's state, and when it started; elsewhere its number alone has to do. */
function processOf(pid: number): { state: string; started: string } {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name in brackets may hold blanks and brackets.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0] ?? '', started: fields[19] ?? '' }
  } catch {
    return { state: '', started: '' }
  }
}
