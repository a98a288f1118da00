import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import protobuf from 'protobufjs'

/** A Value as TensorBoard declares it: a number that is not written is not 0, but absent. */
const Event = protobuf
  .parse(
    `syntax = "proto3";
     message Event { int64 step = 2; Summary summary = 5; }
     message Summary { repeated Value value = 1; }
     message Value { string tag = 1; oneof value { float simple_value = 2; } }`,
    { keepCase: true },
  )
  .root.lookupType('Event')

interface DecodedEvent {
  step: string
  summary?: { value: { tag: string; simple_value?: number }[] }
}

/** [step, value] of each tag in all event files of a folder, in the order of names; nothing is taken as void. */
export function readScalars(folder: string): Record<string, [number, number][]> {
  const found: Record<string, [number, number][]> = {}
  for (const name of readdirSync(folder).sort()) {
    const file = readFileSync(join(folder, name))
    for (let at = 0; at < file.length;) {
      const length = Number(file.readBigUInt64LE(at))
      const message = Event.decode(file.subarray(at + 12, at + 12 + length))
      const event = Event.toObject(message, { longs: String, defaults: false }) as DecodedEvent
      for (const value of event.summary?.value ?? [])
        if (value.simple_value !== undefined)
          (found[value.tag] ??= []).push([Number(event.step ?? 0), value.simple_value])
      at += length + 16
    }
  }
  return found
}
