import { constants } from 'node:fs'
import {
  access,
  lstat,
  mkdir,
  open,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { promisify } from 'node:util'
import { NoduleError, fileError } from './errors.js'
import { MAX_TEXT_BYTES, decodeText, readRegularSync } from './read_files.js'
import { forgetTemporary, temporaryFor } from './temporaries.js'

/** A text file whole. `action` says in the error what it was read for. Throws NoduleError (FILE, FORMAT: too large). */
export function readText(path: string, action: string, limit = MAX_TEXT_BYTES): string {
  return decodeText(readRegularSync(path, { action, limit }))
}

/**
 * Writes a file whole or not at all: to a temporary name beside it, then renames it. Missing folders are made. Devices
 * and pipes (/dev/stdout, `>(...)` of the shell) are written to; they are never replaced by a file, nor is a link: the
 * file that it leads to is.
 * Throws NoduleError (FILE).
 * @param durable on the disk before it has its name, so that a power loss leaves no empty file under it
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  { durable = false }: { durable?: boolean } = {},
): Promise<void> {
  await writeTogether([{ path, content }], { durable })
}

/**
 * Writes files of which the last one, the header, is about the others, each as `writeFileAtomic` does. An earlier header
 * goes before the others get their names: whatever stops the work, none stands beside what it is not about.
 * Throws NoduleError (FILE); all is as it was where there is no room for one of them.
 */
export async function writeTogether(
  files: readonly { path: string; content: string | Uint8Array }[],
  { durable = false }: { durable?: boolean } = {},
): Promise<void> {
  const waiting: { path: string; place: string; temporary: string }[] = []
  let now = ''
  try {
    for (const { path, content } of files) {
      now = path
      if (await isStream(path)) {
        await writeThrough(path, content)
        continue
      }
      const linked = await endOfLink(path)
      // Where a link leads, the folder may be of a disk that is not there now: it is not made.
      if (linked === undefined) await makeFolder(dirname(path))
      const place = linked ?? path
      const temporary = temporaryFor(place)
      waiting.push({ path, place, temporary })
      await writeFile(temporary, content, { flush: durable })
    }
    if (waiting.length > 1) await removeFile(waiting.at(-1)!.place)
    for (const { path, place, temporary } of waiting) {
      now = path
      await rename(temporary, place)
    }
  } catch (error) {
    // Whatever keeps the clean-up from working is what kept the writing from working.
    for (const { temporary } of waiting) await rm(temporary, { force: true }).catch(() => undefined)
    throw await writeError(now, 'write', error)
  } finally {
    for (const { temporary } of waiting) forgetTemporary(temporary)
  }
}

async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}

/** Where a link leads, be it to nothing yet; undefined where the path is none. Throws the system's error of a circle. */
async function endOfLink(path: string): Promise<string | undefined> {
  const isLink = await lstat(path).then(
    (stats) => stats.isSymbolicLink(),
    () => false,
  )
  if (!isLink) return undefined
  await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  return realPlace(path)
}

/** Why nothing can be written to a place. That something is not there says little of a link: where it leads is told. */
async function writeError(path: string, action: string, error: unknown): Promise<NoduleError> {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT'))
    return fileError(path, action, error)
  for (let place = resolve(path); dirname(place) !== place; place = dirname(place)) {
    const target = await readlink(place).catch(() => undefined)
    if (target === undefined || (await stat(place).catch(() => undefined)) !== undefined) continue
    return new NoduleError('FILE', `cannot ${action}: is a link to ${target}, which is not there`, {
      path: place === resolve(path) ? path : place,
      cause: error,
    })
  }
  return fileError(path, action, error)
}

/** What no file may take the place of: pipes, devices, and the names of open files below /dev and /proc. */
async function isStream(path: string): Promise<boolean> {
  if (/^\/(dev\/(fd\/|std(out|err|in)$)|proc\/)/.test(resolve(path))) return true
  const stats = await stat(path).catch(() => undefined)
  return stats !== undefined && !stats.isFile() && !stats.isDirectory()
}

async function writeThrough(path: string, content: string | Uint8Array): Promise<void> {
  // In order with what else is printed, and where it is a socket, which cannot be opened.
  if (/^\/(dev\/(fd\/1|stdout)|proc\/self\/fd\/1)$/.test(resolve(path)))
    return promisify<string | Uint8Array, void>(process.stdout.write.bind(process.stdout))(content)
  // Without a reader a pipe would hold the work for ever.
  const probe = await open(path, constants.O_WRONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENXIO')) throw error
    throw new NoduleError('FILE', 'cannot write: nobody reads from the pipe', { path, cause: error })
  })
  let handle: FileHandle | undefined
  try {
    handle = await open(path, constants.O_WRONLY)
    await handle.writeFile(content)
  } finally {
    await handle?.close()
    await probe.close()
  }
}

/**
 * Makes the folder of a command's results, and sees before the work begins that results can be written there.
 * Throws NoduleError (FILE).
 */
export async function makeOutputFolder(path: string): Promise<void> {
  try {
    await makeFolder(path)
    if (!(await stat(path)).isDirectory())
      throw new NoduleError('FILE', 'cannot write results: is not a folder', { path })
    await access(path, constants.W_OK)
  } catch (error) {
    throw await writeError(path, 'write results', error)
  }
}

/**
 * Sees before the work begins that its result can be written to a file, by `writeFileAtomic`, without making anything.
 * Throws NoduleError (FILE).
 */
export async function checkCanWrite(path: string): Promise<void> {
  if (await isStream(path)) return
  const stats = await stat(path).catch(() => undefined)
  if (stats?.isDirectory() === true || path.endsWith('/') || path.endsWith(sep))
    throw new NoduleError('FILE', 'cannot write: is a folder', { path, expected: 'the name of a file' })
  try {
    const linked = await endOfLink(path)
    if (linked === undefined) await checkCanMake(dirname(path))
    else await access(dirname(linked), constants.W_OK | constants.X_OK)
  } catch (error) {
    throw await writeError(path, 'write', error)
  }
}

/** The same of a folder of results. */
export async function checkCanWriteInto(folder: string): Promise<void> {
  await checkCanMake(folder).catch(async (error: unknown) => {
    throw await writeError(folder, 'write results', error)
  })
}

/** Whether a folder is there, or can be made, and takes files. Throws the system's error. */
async function checkCanMake(folder: string): Promise<void> {
  let place = resolve(folder)
  for (;;) {
    const stats = await stat(place).catch(async (error: NodeJS.ErrnoException) => {
      // No folder can be made under the name of a link that leads nowhere.
      const isDangling = (await endOfLink(place)) !== undefined
      if (error.code !== 'ENOENT' || isDangling || dirname(place) === place) throw error
    })
    if (stats?.isDirectory() === false)
      throw Object.assign(new Error(`${place} is not a folder`), { code: 'ENOTDIR' })
    if (stats !== undefined) return access(place, constants.W_OK | constants.X_OK)
    place = dirname(place)
  }
}

/** Throws NoduleError (FILE) where the output folder is an input or lies in one, links followed. */
export async function checkOutside(output: string, inputs: readonly string[]): Promise<void> {
  const target = await realPlace(output)
  for (const input of inputs) {
    const way = relative(await realPlace(input), target)
    if (way === '' || !(way === '..' || way.startsWith('../') || way.startsWith('..\\')))
      throw new NoduleError('FILE', `the results would lie among the inputs (${input})`, {
        path: output,
        expected: 'a folder outside of them',
      })
  }
}

/** Throws NoduleError (FILE) where a result would be written over one of its own inputs, links followed. */
export async function checkNoInput(output: string, inputs: readonly (string | undefined)[]): Promise<void> {
  const target = await realPlace(output)
  const before = await stat(output).catch(() => undefined)
  for (const input of inputs) {
    if (input === undefined) continue
    const stats = before?.isFile() === true ? await stat(input).catch(() => undefined) : undefined
    // Two names of one file: replacing one would leave the other, but who names both means one file.
    const linked = stats?.isFile() === true && stats.ino === before?.ino && stats.dev === before.dev
    if (linked || (await realPlace(input)) === target)
      throw new NoduleError('FILE', 'the result would replace its own input', {
        path: output,
        expected: 'another name',
      })
  }
}

/**
 * A text without the names of the folders in which these files lie on this machine: results are passed on. Relative
 * paths stay as they were given.
 */
export function hideFolders(text: string, paths: readonly string[]): string {
  const folders = new Set(paths.filter((path) => isAbsolute(path)).map((path) => dirname(path)))
  // The deepest first: one may lie in another.
  return [...folders]
    .filter((folder) => dirname(folder) !== folder)
    .sort((a, b) => b.length - a.length)
    .reduce((rest, folder) => rest.replaceAll(`${folder}${sep}`, ''), text)
}

/** Names for files, all different: one that is taken already gets a number. */
export function distinctFileNames(names: readonly string[]): string[] {
  const taken = new Set<string>()
  return names.map((base) => {
    let name = base
    for (let n = 2; taken.has(name); n++) name = `${base}-${n}`
    taken.add(name)
    return name
  })
}

/** Where a path leads to, also where its end, or that of a link, does not exist yet. */
export async function realPlace(path: string, links = 40): Promise<string> {
  const absolute = resolve(path)
  try {
    return await realpath(absolute)
  } catch {
    const parent = dirname(absolute)
    if (parent === absolute) return absolute
    const folder = await realPlace(parent, links)
    // Links may go in a circle.
    const target = links === 0 ? undefined : await readlink(absolute).catch(() => undefined)
    return target === undefined
      ? join(folder, basename(absolute))
      : realPlace(resolve(folder, target), links - 1)
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
  // Another writer may have made it meanwhile.
  await mkdir(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  })
}
