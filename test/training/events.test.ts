import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EventWriter, crc32c, tfRecord } from '../../src/training/events.js'

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

  // The fixture was written by these calls and read with tensorboard 2.21.0:
  //   EventAccumulator(folder).Reload().Scalars('train/loss') -> steps 0 and 50, values 2.5 and 1.25
  it('writes what TensorBoard has read', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nodule-events-'))
    const writer = await EventWriter.create(join(folder, 'events.out.tfevents.1'), 0, 1000)
    await writer.scalars(0, { 'train/loss': 2.5, learning_rate: 0.001 }, 1001)
    await writer.scalars(50, { 'train/loss': 1.25, learning_rate: 0.001 }, 1002)
    const fixture = readFileSync('test/fixtures/training/events.out.tfevents.1')
    expect(readFileSync(writer.path).equals(fixture)).toBe(true)
    rmSync(folder, { recursive: true })
  })
})
