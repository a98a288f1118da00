/** Files that are being written under a temporary name: none stays when the process ends before they are whole. */
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { BroadcastChannel, isMainThread, receiveMessageOnPort } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'

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
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.part`
  // Absolute: the process may change its folder.
  tell({ path: resolve(temporary), isGone: false })
  return temporary
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
