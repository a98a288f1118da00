import { afterEach, describe, expect, it, vi } from 'vitest'
import { failedItems, longWork } from '../../src/terminal/long_work.js'
import { printFailure, printLine } from '../../src/terminal/output.js'

afterEach(() => {
  process.exitCode = undefined
  vi.restoreAllMocks()
})

describe('longWork', () => {
  it('gives back the result and the signals, and prints where there is no terminal', async () => {
    const [out, err] = [process.stdout, process.stderr].map((stream) =>
      vi.spyOn(stream, 'write').mockReturnValue(true),
    )
    const listeners = process.listenerCount('SIGINT')
    const result = await longWork('test', async ({ signal, onWarning, onProgress }) => {
      expect(process.listenerCount('SIGINT')).toBe(listeners + 1)
      onWarning('before the bar')
      onProgress(1, 2, 'one')
      printLine('result')
      printFailure('failed: two')
      return signal.aborted
    })
    expect(result).toBe(false)
    expect(process.exitCode).toBeUndefined()
    expect(process.listenerCount('SIGINT')).toBe(listeners)
    expect(out!.mock.calls).toEqual([['result\n']])
    expect(err!.mock.calls).toEqual([['warning: before the bar\n'], ['failed: two\n']])
  })

  it('ends with 130 after Ctrl-C, whatever failed before', async () => {
    const err = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    const done = await longWork('test', async ({ signal }) => {
      const items = []
      for (let item = 0; item < 3 && !signal.aborted; item++) {
        items.push(item)
        if (item === 1) process.emit('SIGINT')
      }
      return items
    })
    failedItems()
    expect(done).toEqual([0, 1])
    expect(err.mock.calls.at(-1)).toEqual(['interrupted: what follows is not all\n'])
    expect(process.exitCode).toBe(130)
  })

  it('lets errors through, with the signals given back', async () => {
    const listeners = process.listenerCount('SIGINT')
    await expect(longWork('test', async () => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
    expect(process.listenerCount('SIGINT')).toBe(listeners)
    failedItems()
    expect(process.exitCode).toBe(1)
  })
})
