import { availableParallelism } from 'node:os'
import { createThreadPool } from '../threads.js'
import type { ThreadPool } from '../threads.js'

/**
 * Makes what is asked for in order before it is asked for: while the caller works with number n, the `ahead` next ones
 * are made. An error is thrown where its number is awaited.
 * @param count how many there are
 */
export function runAhead<Item>(
  make: (n: number) => Promise<Item>,
  { ahead, count = Infinity }: { ahead: number; count?: number },
): (n: number) => Promise<Item> {
  const begun = new Map<number, Promise<Item>>()
  return async (n) => {
    for (const old of begun.keys()) if (old < n || old > n + ahead) begun.delete(old)
    for (let next = n; next <= n + ahead && next < count; next++) {
      if (begun.has(next)) continue
      const item = make(next)
      // The error is thrown where the item is awaited; without this it would end the process before.
      item.catch(() => undefined)
      begun.set(next, item)
    }
    const item = begun.get(n)
    if (item === undefined) throw new RangeError(`number ${n} of ${count}`)
    begun.delete(n)
    return item
  }
}

/** Lets so many calls run at a time; the others wait for their turn. */
function atMost(limit: number): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let free = limit
  const waiting: (() => void)[] = []
  return async (work) => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    }
  }
}

/**
 * The work in so many threads of their own, others wait for their turn; with none, in this one.
 * @param module see `ThreadPoolOptions`
 */
export function inThreads<Task, Result>(
  workers: number,
  module: URL,
  work: (task: Task) => Promise<Result>,
): ThreadPool<Task, Result> {
  if (workers === 0) return { run: work, close: async () => undefined }
  // A pool of one thread would be this one; as many calls as workers run at a time, so that the last never starts.
  const pool = createThreadPool({ threads: workers + 1, module, work })
  const limit = atMost(workers)
  let closed = false
  return {
    run: async (task) =>
      limit(async () => {
        if (closed) throw new Error('the batches are closed')
        return pool.run(task)
      }),
    close: async () => {
      closed = true
      await pool.close()
    },
  }
}

/** Threads that make data where nobody says how many: those that the training leaves, at least one. */
export function defaultWorkers(): number {
  return Math.min(4, Math.max(1, availableParallelism() - 2))
}
