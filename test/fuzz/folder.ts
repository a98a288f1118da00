import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A new folder in memory where the system has such: thousands of files are written over, and a disk would be waited for. */
export function temporaryFolder(): string {
  for (const parent of ['/dev/shm', tmpdir()])
    try {
      return mkdtempSync(join(parent, 'nodule-fuzz-'))
    } catch {
      // There is none, or it may not be written.
    }
  throw new Error('no folder for temporary files can be written')
}
