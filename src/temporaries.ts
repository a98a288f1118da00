/**
 * Files that are being written under a temporary name: none stays when the process ends before they are whole. Those of
 * a process that was killed go when the next one writes into their folder.
 */
import { randomBytes } from 'node:crypto'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { BroadcastChannel, isMainThread, receiveMessageOnPort } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { sha256 } from './hash.js'
import { startOf, thisSystem } from './processes.js'

/** What a thread tells the main one, which clears up for all: a thread that is ended runs no code of its own. */
interface Note {
  path: string
  isGone: boolean
}

const temporaries = new Set<string>()
const NAME = 'nodule temporaries'
let channel: BroadcastChannel | undefined
if (isMainThread) {
  channel = openChannel((note) => take(note))
  process.on('exit', removeTemporaries)
}

function openChannel(hear: (note: Note) => void): BroadcastChannel {
  const opened = new BroadcastChannel(NAME)
  // Its typings know no addEventListener.
  // oxlint-disable-next-line unicorn/prefer-add-event-listener
  opened.onmessage = (message: unknown) => hear((message as { data: Note }).data)
  opened.unref()
  return opened
}

function take({ path, isGone }: Note): void {
  if (isGone) temporaries.delete(path)
  else temporaries.add(path)
}

function tell(note: Note): void {
  if (isMainThread) return take(note)
  // What other threads say is for the main one.
  channel ??= openChannel(() => undefined)
  channel.postMessage(note)
}

/** A name beside `path` for its content until that is whole; removed when the process ends, unless it is forgotten. */
export function temporaryFor(path: string): string {
  // Absolute: the process may change its folder.
  const folder = dirname(resolve(path))
  clearKilled(folder)
  const name = shortened(basename(path)) + temporaryEnding()
  tell({ path: join(folder, name), isGone: false })
  return join(dirname(path), name)
}

/** A name that an ending of 22 bytes can follow: file systems take 255 bytes. */
function shortened(name: string): string {
  const bytes = Buffer.from(name)
  return bytes.length <= 233 ? name : bytes.toString('latin1', 0, 200).replaceAll(/[^\w.-]/g, '_')
}

/** Of an ending, which tells whose file it is: `.PID-SYSTEM START RANDOM.part`, all of base 36. */
const ENDING = /\.([\da-z]{1,6})-([\da-z]{4})([\da-z]{2})[\da-z]{4}\.part$/
const brief = (text: string, length: number): string =>
  BigInt(`0x${sha256(text)}`)
    .toString(36)
    .slice(-length)
    .padStart(length, '0')

let own: { system: string; beginning: string } | undefined

function temporaryEnding(): string {
  own ??= identify()
  return `${own.beginning}${brief(randomBytes(8).toString('hex'), 4)}.part`
}

function identify(): { system: string; beginning: string } {
  const system = brief(thisSystem(), 4)
  const start = brief(startOf(process.pid) ?? '', 2)
  return { system, beginning: `.${process.pid.toString(36)}-${system}${start}` }
}

/** What another system has not touched for so long was left behind, ms. */
const LEFT_BEHIND = 3600_000
const cleared = new Set<string>()

/** Removes what killed processes left in a folder, once. */
function clearKilled(folder: string): void {
  if (cleared.has(folder)) return
  cleared.add(folder)
  try {
    for (const name of readdirSync(folder)) {
      const [, pid, system, start] = ENDING.exec(name) ?? []
      if (pid === undefined) continue
      const path = join(folder, name)
      if (isLeft(path, Number.parseInt(pid, 36), system!, start!)) rmSync(path, { force: true })
    }
  } catch {
    // No folder yet, or one that may not be listed: what is left there does no harm to what is written.
  }
}

function isLeft(path: string, pid: number, system: string, start: string): boolean {
  own ??= identify()
  if (system !== own.system) return Date.now() - statSync(path).mtimeMs > LEFT_BEHIND
  const started = startOf(pid)
  return started === undefined || brief(started, 2) !== start
}

/** The file has its own name now, or is gone. */
export function forgetTemporary(temporary: string): void {
  tell({ path: resolve(temporary), isGone: true })
}

/** Removes what is not whole, at once: for the end of the process, also by a signal. */
function removeTemporaries(): void {
  for (let got = receiveNote(); got !== undefined; got = receiveNote()) take(got)
  for (const temporary of temporaries)
    try {
      rmSync(temporary, { force: true })
    } catch {
      // The process ends; nobody is left to be told.
    }
  temporaries.clear()
}

/** The next note that was not heard yet. */
function receiveNote(): Note | undefined {
  // Node takes a channel, too; its typings do not.
  const port = channel as unknown as MessagePort | undefined
  return port === undefined ? undefined : (receiveMessageOnPort(port)?.message as Note | undefined)
}
