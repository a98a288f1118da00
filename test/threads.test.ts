import { describe, expect, it } from 'vitest'
import { NoduleError } from '../src/errors.js'
import { createThreadPool } from '../src/threads.js'
import type { ThreadPoolOptions } from '../src/threads.js'
import { work } from './threads_worker.js'

const options = (threads: number): ThreadPoolOptions<number | string, number> => ({
  threads,
  module: new URL('./threads_worker.js', import.meta.url),
  work,
})

describe('createThreadPool', () => {
  it.each([1, 2])('does tasks and passes errors on, with %d threads', async (threads) => {
    const pool = createThreadPool(options(threads))
    expect(await Promise.all(threads === 1 ? [pool.run(1)] : [pool.run(1), pool.run(2)])).toEqual(
      threads === 1 ? [2] : [2, 4],
    )
    const wrong = await pool.run('wrong').catch((error: unknown) => error)
    expect(wrong).toBeInstanceOf(NoduleError)
    expect(wrong).toMatchObject({ code: 'NUMERIC', message: 'wrong: a task', path: 'wrong' })
    const bug = await pool.run('bug').catch((error: unknown) => error)
    expect(bug).not.toBeInstanceOf(NoduleError)
    expect((bug as Error).message).toContain('a bug')
    expect(await pool.run(5)).toBe(10)
    await pool.close()
  })

  it.each([1, 2])('turns a bug into the error of the caller, with %d threads', async (threads) => {
    const pool = createThreadPool({
      ...options(threads),
      unexpected: (reason, cause) => new NoduleError('FORMAT', `unexpected: ${reason}`, { cause }),
    })
    // The stack names the place, wherever the work was done.
    await expect(pool.run('bug')).rejects.toThrow(/^unexpected: TypeError: a bug\n.*at .*work/)
    await pool.close()
  })

  it('goes on with a new thread where one ended', async () => {
    const pool = createThreadPool(options(2))
    await expect(pool.run('die')).rejects.toThrow('its thread ended with exit code 3')
    expect(await pool.run(7)).toBe(14)
    await pool.close()
  })

  it('ends a thread that could not be given its task', async () => {
    const threads = (): number =>
      process.getActiveResourcesInfo().filter((kind) => kind === 'MessagePort').length
    const before = threads()
    const pool = createThreadPool(options(2))
    await expect(pool.run((() => 1) as never)).rejects.toThrow('could not be cloned')
    expect(await pool.run(7)).toBe(14)
    await pool.close()
    for (let n = 0; threads() > before && n < 50; n++) await new Promise((done) => setTimeout(done, 20))
    expect(threads()).toBe(before)
  })

  it('ends the threads that are at work', async () => {
    const pool = createThreadPool(options(2))
    const running = pool.run(1)
    running.catch(() => undefined)
    await pool.close()
    await expect(running).rejects.toThrow('its thread ended')
  })
})
