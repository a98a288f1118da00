import { describe, expect, test } from 'vitest'
import { Pool } from '../../../src/engine/onednn/pool.js'

const addon = { address: () => 32 }
/** Floats of a KiB. */
const KIB = 256

describe('the pool of the native engine', () => {
  test('hands out again what it got back, by type and length', () => {
    const pool = new Pool(addon)
    const a = pool.take('float32', 5000)
    pool.give('float32', a)
    expect(pool.take('int32', 5000)).not.toBe(a)
    expect(pool.take('float32', 5001)).not.toBe(a)
    expect(pool.take('float32', 5000)).toBe(a)
    expect(pool.take('float32', 5000)).not.toBe(a)
    expect(a.byteOffset).toBe(32)
    expect(pool.owns(a.buffer)).toBe(true)
    expect(pool.owns(new ArrayBuffer(8))).toBe(false)
  })

  test('drops the lengths that nobody asks for any more, and keeps those in use', () => {
    const pool = new Pool(addon, 1024 * 1024)
    const step = (lengths: number[]): void => {
      const taken = lengths.map((length) => pool.take('float32', length))
      for (const array of taken) pool.give('float32', array)
    }
    const old = [100, 101, 102].map((n) => n * KIB)
    const now = [110, 111, 112, 113].map((n) => n * KIB)
    step(old)
    for (let i = 0; i < 3; i++) step(now)
    // Less than the 1,024 KiB that may wait: all is there still.
    expect(pool.freeBytes).toBe((303 + 446) * 1024)
    const others = [120, 121, 122, 123].map((n) => n * KIB)
    for (let i = 0; i < 2; i++) step(others)
    expect(pool.freeBytes).toBeLessThanOrEqual(1024 * 1024)
    const made = pool.allocatedBytes
    for (let i = 0; i < 10; i++) step(others)
    expect(pool.allocatedBytes).toBe(made)
  })

  test('may keep all that was in use at once, and never much more', () => {
    const pool = new Pool(addon, 1024)
    const lengths = Array.from({ length: 20 }, (_, i) => 4096 + i)
    const bytes = lengths.reduce((sum, length) => sum + 4 * length, 0)
    const step = (more: number): void => {
      const taken = lengths.map((length) => pool.take('float32', length + more))
      for (const array of taken) pool.give('float32', array)
    }
    for (let i = 0; i < 5; i++) step(0)
    expect(pool.allocatedBytes).toBe(bytes)
    // Other sizes each time, as frames of changing size would have.
    for (let i = 1; i < 50; i++) {
      step(100 * i)
      expect(pool.freeBytes).toBeLessThan(3 * bytes)
    }
    const made = pool.allocatedBytes
    for (let i = 0; i < 5; i++) step(4900)
    expect(pool.allocatedBytes).toBe(made)
  })
})
