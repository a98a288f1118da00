import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import protobuf from 'protobufjs'

/** A Value as TensorBoard declares it: a number that is not written is not 0, but absent. */
const Event = protobuf
  .parse(
    `syntax = "proto3";
     message Event { int64 step = 2; oneof what { bytes graph_def = 4; Summary summary = 5; } }
     message Summary { repeated Value value = 1; }
     message Value { string tag = 1; oneof value { float simple_value = 2; } }`,
    { keepCase: true },
  )
  .root.lookupType('Event')

interface DecodedEvent {
  step: string
  graph_def?: Uint8Array
  summary?: { value: { tag: string; simple_value?: number }[] }
}

/** What is read of an event: its values' tags, those of numbers with the number. */
export interface ReadEvent {
  step: number
  graph: boolean
  values: { tag: string; simple_value?: number }[]
}

/** All events of a folder's files, in the order of their names; nothing is taken as void. */
export function readEvents(folder: string): ReadEvent[] {
  const found: ReadEvent[] = []
  for (const name of readdirSync(folder).sort()) {
    const file = readFileSync(join(folder, name))
    for (let at = 0; at < file.length;) {
      const length = Number(file.readBigUInt64LE(at))
      const message = Event.decode(file.subarray(at + 12, at + 12 + length))
      const event = Event.toObject(message, { longs: String, defaults: false }) as DecodedEvent
      const { step, summary, graph_def: graph } = event
      found.push({ step: Number(step ?? 0), graph: graph !== undefined, values: summary?.value ?? [] })
      at += length + 16
    }
  }
  return found
}

/** [step, value] of the numbers of each tag. */
export function readScalars(folder: string): Record<string, [number, number][]> {
  const found: Record<string, [number, number][]> = {}
  for (const { step, values } of readEvents(folder))
    for (const { tag, simple_value: value } of values)
      if (value !== undefined) (found[tag] ??= []).push([step, value])
  return found
}
