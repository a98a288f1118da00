/** Files that are being written under a temporary name: none stays when the process ends before they are whole. */
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { resolve } from 'node:path'

const temporaries = new Set<string>()
let listening = false

/** A name beside `path` for its content until that is whole; removed when the process ends, unless it is forgotten. */
export function temporaryFor(path: string): string {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.part`
  if (!listening) process.on('exit', removeTemporaries)
  listening = true
  // Absolute: the process may change its folder.
  temporaries.add(resolve(temporary))
  return temporary
}

/** The file has its own name now, or is gone. */
export function forgetTemporary(temporary: string): void {
  temporaries.delete(resolve(temporary))
}

/** Removes what is not whole, at once: for the end of the process, also by a signal. */
export function removeTemporaries(): void {
  for (const temporary of temporaries)
    try {
      rmSync(temporary, { force: true })
    } catch {
      // The process ends; nobody is left to be told.
    }
  temporaries.clear()
}
