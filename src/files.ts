import { randomBytes } from 'node:crypto'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileError } from './errors.js'

/**
 * Writes a file whole or not at all: to a temporary name beside it, then renames it. Missing folders are made.
 * Throws NoduleError (FILE).
 */
export async function writeFileAtomic(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.part`
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(temporary, content)
    await rename(temporary, path)
  } catch (error) {
    // Whatever keeps the clean-up from working is what kept the writing from working.
    await rm(temporary, { force: true }).catch(() => undefined)
    throw fileError(path, 'write', error)
  }
}
