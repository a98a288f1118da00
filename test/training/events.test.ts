import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { crc32c } from '../../src/crc32c.js'
import { EventWriter, dropEventsFrom, tfRecord } from '../../src/training/events.js'
import { readScalars } from './read_events.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-events-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('event files', () => {
  it('has the checksums of RFC 3720 (B.4)', () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
    expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43)
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e)
  })

  it('frames records as TensorFlow does', () => {
    const record = tfRecord(new Uint8Array([1, 2, 3]))
    expect(record.length).toBe(19)
    expect([...record.subarray(0, 8)]).toEqual([3, 0, 0, 0, 0, 0, 0, 0])
    expect([...record.subarray(12, 15)]).toEqual([1, 2, 3])
  })

  // The fixture was written by these calls and read with tensorboard 2.21.0, whose answer is tensorboard.json:
  //   EventAccumulator(folder).Reload().Scalars(tag) -> [[step, value], ...]
  it('writes what TensorBoard has read, zeros included', async () => {
    const writer = await EventWriter.create(join(folder, 'one', 'events.out.tfevents.1'), 0, 1000)
    await writer.scalars(0, { 'train/loss': 2.5, 'test/accuracy': 0 }, 1001)
    await writer.scalars(50, { 'train/loss': 0, 'test/accuracy': 0.25 }, 1002)
    const fixture = readFileSync('test/fixtures/training/events.out.tfevents.1')
    expect(readFileSync(writer.path).equals(fixture)).toBe(true)
    const read = JSON.parse(readFileSync('test/fixtures/training/tensorboard.json', 'utf8')) as unknown
    expect(readScalars(join(folder, 'one'))).toEqual(read)
    expect(read).toEqual({
      'train/loss': [
        [0, 2.5],
        [50, 0],
      ],
      'test/accuracy': [
        [0, 0],
        [50, 0.25],
      ],
    })
  })

  it('drops values from a step on, a record that was cut off, and files without values', async () => {
    const place = join(folder, 'several')
    const path = (n: number): string => join(place, `events.out.tfevents.${n}`)
    for (const [n, steps] of [
      [1, [0, 10]],
      [2, [20, 30]],
      [3, [40]],
    ] as const) {
      const writer = await EventWriter.create(path(n), 0, 1000)
      for (const step of steps) await writer.scalars(step, { loss: step }, 1000)
    }
    appendFileSync(path(2), new Uint8Array(20))
    writeFileSync(join(place, 'notes.txt'), 'mine')
    const first = readFileSync(path(1))
    await dropEventsFrom(place, 30)
    expect(readdirSync(place).sort()).toEqual(['events.out.tfevents.1', 'events.out.tfevents.2', 'notes.txt'])
    expect(readFileSync(path(1)).equals(first)).toBe(true)
    rmSync(join(place, 'notes.txt'))
    expect(readScalars(place)).toEqual({
      loss: [
        [0, 0],
        [10, 10],
        [20, 20],
      ],
    })
    await expect(dropEventsFrom(join(folder, 'absent'), 0)).resolves.toEqual([])
  })

  it('takes what a run that was killed left half written for none of them', async () => {
    const place = join(folder, 'killed')
    const writer = await EventWriter.create(join(place, 'events.out.tfevents.1'), 0, 1000)
    await writer.scalars(0, { loss: 2 }, 1001)
    const part = `${writer.path}.zzz-000000000.part`
    writeFileSync(part, readFileSync(writer.path))
    const before = readFileSync(part)
    await dropEventsFrom(place, 0)
    // Emptied files are removed: it was not looked at.
    expect(readdirSync(place)).toEqual([basename(part)])
    expect(readFileSync(part).equals(before)).toBe(true)
  })

  it('shortens a file that is larger than what can be read at once', async () => {
    const place = join(folder, 'large')
    const writer = await EventWriter.create(join(place, 'events.out.tfevents.1'), 0, 1000)
    for (const step of [0, 10]) await writer.scalars(step, { loss: step }, 1000)
    // Zeros that take no place on the disk: cut off, as a record.
    truncateSync(writer.path, 3 * 2 ** 30)
    await dropEventsFrom(place, 10)
    expect(readdirSync(place)).toEqual(['events.out.tfevents.1'])
    expect(readScalars(place)).toEqual({ loss: [[0, 0]] })
  })
})
