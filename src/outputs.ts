/**
 * The one check that no result takes the place of an input, and that all can be written: who learns it at the end of the
 * work has worked for nothing. The command line makes it for every command.
 */
import { stat } from 'node:fs/promises'
import { relative, sep } from 'node:path'
import { NoduleError } from './errors.js'
import { checkCanWrite, checkCanWriteInto, checkNoInput, realPlace } from './files.js'

/** What a command reads and writes. */
export interface CommandPaths {
  /** Files and folders that are read. */
  reads?: readonly (string | undefined)[]
  /** Files that are written. */
  files?: readonly (string | undefined)[]
  /** Files below folders of inputs that are none, and may be replaced by name: results of an earlier call. */
  results?: RegExp
  /** Folders that are written to. */
  folders?: readonly OutputFolder[]
}

export interface OutputFolder {
  path: string | undefined
  /** What in it may be replaced: a path below the folder. Default: everything. */
  writes?: RegExp
  /** It may be a folder of inputs: what is written there is no input of the command. */
  shared?: true
}

/**
 * Throws NoduleError (FILE) where a result would be written over an input or over another result: a file that is read,
 * by any of its names; a file that is there already in a folder that is read; a folder of inputs. So where a result
 * cannot be written: a folder has its name, or what should hold it takes no files.
 */
export async function checkOutputs({
  reads = [],
  files = [],
  results,
  folders = [],
}: CommandPaths): Promise<void> {
  const inputs = reads.filter((path) => path !== undefined)
  const written = new Set<string>()
  for (const path of files) {
    if (path === undefined) continue
    await checkNoInput(path, inputs)
    await checkNotWithin(path, inputs, results)
    await checkCanWrite(path)
    const place = await realPlace(path)
    // Devices and pipes take any number.
    if (!(await isFile(path)) && (await exists(path))) continue
    if (written.has(place)) throw refused('two results would have one name', path, 'a name each')
    written.add(place)
  }
  for (const { path, writes = /^/, shared } of folders) {
    if (path === undefined) continue
    await checkCanWriteInto(path)
    const folder = await realPlace(path)
    for (const input of inputs) {
      const way = relative(folder, await realPlace(input))
      if (way === '' && shared !== true)
        throw refused('the results would lie among the inputs', path, 'another folder')
      const inside = way !== '' && way !== '..' && !way.startsWith(`..${sep}`)
      if (inside && (await isFile(input)) && writes.test(way.replaceAll(sep, '/')))
        throw refused(`the results could replace an input (${input})`, path, 'another folder')
    }
  }
}

async function checkNotWithin(
  path: string,
  inputs: readonly string[],
  results: RegExp | undefined,
): Promise<void> {
  if (!(await isFile(path)) || results?.test(path) === true) return
  const target = await realPlace(path)
  for (const input of inputs) {
    const way = relative(await realPlace(input), target)
    if (way !== '' && way !== '..' && !way.startsWith(`..${sep}`))
      throw refused(`the result would replace a file among the inputs (${input})`, path, 'another name')
  }
}

const isFile = async (path: string): Promise<boolean> =>
  stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  )

const exists = async (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

function refused(summary: string, path: string, expected: string): NoduleError {
  return new NoduleError('FILE', summary, { path, expected })
}
