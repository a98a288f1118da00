/** A folder that one process writes to at a time. */
import { randomBytes } from 'node:crypto'
import { rmSync, statSync, utimesSync } from 'node:fs'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { NoduleError, fileError } from './errors.js'
import { isObject, parseJson } from './json.js'
import { makeOutputFolder, readText } from './files.js'
import { startOf, thisSystem } from './processes.js'

/** Its name in the folder. */
export const LOCK_NAME = 'in-use.lock'

/** How often a holder touches its lock, and how old an untouched one of another machine may be, ms. */
const BEAT = 10_000
const STALE = 120_000

interface Holder {
  token: string
  pid: number
  /** As `startOf` and `thisSystem` tell. */
  started: string
  system: string
  since: string
}

/**
 * Takes a folder for this process until the returned function gives it back, or the process ends: a process that was
 * killed keeps nothing, nor does a machine that was switched off for two minutes.
 *
 * @param what is done there, in the error: "training"
 * Throws NoduleError (FILE) where another process has it, or the folder cannot be written.
 */
export async function lockFolder(folder: string, what: string): Promise<() => void> {
  await makeOutputFolder(folder)
  const path = join(folder, LOCK_NAME)
  const own: Holder = {
    token: randomBytes(12).toString('hex'),
    pid: process.pid,
    started: startOf(process.pid) ?? '',
    system: thisSystem(),
    since: new Date().toISOString(),
  }
  const draft = `${path}.${own.token}`
  try {
    await writeFile(draft, `${JSON.stringify(own)}\n`)
    await take(path, draft, what)
  } catch (error) {
    throw fileError(path, 'lock', error)
  } finally {
    await rm(draft, { force: true })
  }
  const beat = setInterval(() => touch(path), BEAT)
  beat.unref()
  const release = (): void => {
    clearInterval(beat)
    process.off('exit', release)
    if (holderOf(path)?.token === own.token) rmSync(path, { force: true })
  }
  process.on('exit', release)
  return release
}

/** What file systems without hard links (exFAT, some shares) say of one. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV']

/** A lock of that content: whole or not at all, and never over another one; where there are no links only the latter. */
async function putInPlace(draft: string, path: string): Promise<void> {
  try {
    await link(draft, path)
  } catch (error) {
    if (!NO_LINKS.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    await writeFile(path, await readFile(draft), { flag: 'wx' })
  }
}

async function take(path: string, draft: string, what: string): Promise<void> {
  for (let attempt = 0; attempt < 5; attempt++) {
    try {
      await putInPlace(draft, path)
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const holder = holderOf(path)
    if (holder === undefined) continue
    if (isAlive(holder, path)) throw held(path, holder, what)
    // Of several that find it stale one moves it away; what was moved is looked at again, since it may be a new one.
    const aside = `${draft}.stale`
    try {
      await rename(path, aside)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue
      throw error
    }
    const moved = holderOf(aside)
    if (moved !== undefined && moved.token !== holder.token) {
      await putInPlace(aside, path).catch(() => undefined)
      await rm(aside, { force: true })
      throw held(path, moved, what)
    }
    await rm(aside, { force: true })
  }
  throw new NoduleError('FILE', `the folder is in use: others begin ${what} there at the same time`, { path })
}

function held(path: string, { pid, since }: Holder, what: string): NoduleError {
  return new NoduleError('FILE', `the folder is in use`, {
    path,
    expected: `one process that is ${what} there at a time`,
    actual: `process ${pid} since ${since}`,
    remedies: ['wait until it ends', 'remove the file, if you know that nobody writes there'],
  })
}

/** What a lock says; undefined where there is none. What cannot be understood is a lock of nobody. */
function holderOf(path: string): Holder | undefined {
  let text: string
  try {
    text = readText(path, 'read lock', 4096)
  } catch {
    return undefined
  }
  try {
    const value = parseJson(text, path)
    const is = (key: string, type: string): boolean => isObject(value) && typeof value[key] === type
    if (is('pid', 'number') && ['token', 'started', 'system', 'since'].every((key) => is(key, 'string')))
      return value as unknown as Holder
  } catch {
    // Cut off when the machine stopped.
  }
  return { token: text, pid: 0, started: '', system: '', since: 'an unknown time' }
}

function isAlive({ pid, started, system }: Holder, path: string): boolean {
  if (pid <= 0) return false
  if (system !== thisSystem()) {
    try {
      return Math.abs(Date.now() - statSync(path).mtimeMs) < STALE
    } catch {
      return false
    }
  }
  return startOf(pid) === started
}

function touch(path: string): void {
  try {
    utimesSync(path, new Date(), new Date())
  } catch {
    // Removed by hand: nothing to keep.
  }
}
