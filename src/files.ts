import { randomBytes } from 'node:crypto'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { fileError } from './errors.js'

/**
 * Writes a file whole or not at all: to a temporary name beside it, then renames it. Missing folders are made.
 * Throws NoduleError (FILE).
 */
export async function writeFileAtomic(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.part`
  try {
    await makeFolder(dirname(path))
    await writeFile(temporary, content)
    await rename(temporary, path)
  } catch (error) {
    // Whatever keeps the clean-up from working is what kept the writing from working.
    await rm(temporary, { force: true }).catch(() => undefined)
    throw fileError(path, 'write', error)
  }
}

/**
 * Makes a folder and those above it. (Node's own recursive mkdir never returns where the system says that a parent
 * that exists does not, as below /proc.) Throws the system's error.
 */
export async function makeFolder(path: string): Promise<void> {
  const make = async (): Promise<boolean> => {
    try {
      await mkdir(path)
      return true
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (code === 'EEXIST') return true
      if (code !== 'ENOENT') throw error
      return false
    }
  }
  if (await make()) return
  const parent = dirname(resolve(path))
  if (parent !== resolve(path)) await makeFolder(parent)
  await mkdir(path)
}
