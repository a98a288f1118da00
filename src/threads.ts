import { Worker, parentPort } from 'node:worker_threads'
import { NoduleError, stackOf } from './errors.js'
import type { NoduleErrorData } from './errors.js'

/** What a thread sends back: the result, or why there is none: a NoduleError, or a bug with its stack. */
type Answer<Result> = { result: Result } | { error: NoduleErrorData } | { bug: string }

export interface ThreadPool<Task, Result> {
  /** Does a task; at most `threads` calls may run at a time. Throws what the work throws. */
  run: (task: Task) => Promise<Result>
  /** Ends the threads, those at work too. */
  close: () => Promise<void>
}

export interface ThreadPoolOptions<Task, Result> {
  threads: number
  /** The module of a thread, as it is called when compiled (`.js`); it calls `serveTasks`. */
  module: URL
  /** The work itself, for a pool of one thread: that is this one. */
  work: (task: Task) => Promise<Result>
  /** One thread is one of its own as well, so that this one hears signals during long tasks. */
  apart?: boolean
  /** The error to throw for what is no NoduleError: a bug, a lack of memory. Default: the error as it is. */
  unexpected?: (reason: string, cause: unknown) => Error
}

/**
 * Does tasks in threads of their own; with one thread, in this one. Tasks and results are copied (structured clone).
 * A thread that breaks is not used again; the next task gets a new one.
 */
export function createThreadPool<Task, Result>(o: ThreadPoolOptions<Task, Result>): ThreadPool<Task, Result> {
  const unexpected =
    o.unexpected ??
    ((reason: string, cause: unknown) => (cause instanceof Error ? cause : new Error(reason, { cause })))
  if (o.threads === 1 && o.apart !== true) {
    const run = async (task: Task): Promise<Result> => {
      try {
        return await o.work(task)
      } catch (error) {
        throw error instanceof NoduleError ? error : unexpected(stackOf(error), error)
      }
    }
    return { run, close: async () => undefined }
  }
  const all = new Set<Worker>()
  const idle: Worker[] = []
  const start = (): Worker => {
    const worker = startWorker(o.module)
    all.add(worker)
    return worker
  }
  return {
    run: async (task) => {
      const worker = idle.pop() ?? start()
      let answer: Answer<Result>
      try {
        answer = await ask<Result>(worker, task)
      } catch (error) {
        // Also one that never got its task, which cannot be copied: it would keep the process from ending.
        void worker.terminate()
        all.delete(worker)
        throw unexpected(stackOf(error), error)
      }
      idle.push(worker)
      if ('result' in answer) return answer.result
      throw 'error' in answer ? NoduleError.fromData(answer.error) : unexpected(answer.bug, undefined)
    },
    close: async () => {
      await Promise.all([...all].map((worker) => worker.terminate()))
    },
  }
}

/** In the module of a thread: does the tasks that the pool sends, one at a time. */
export function serveTasks(work: (task: never) => Promise<unknown>): void {
  const answer = async (task: unknown): Promise<Answer<unknown>> => {
    try {
      return { result: await work(task as never) }
    } catch (error) {
      return error instanceof NoduleError ? { error: error.toData() } : { bug: stackOf(error) }
    }
  }
  parentPort?.on('message', (task: unknown) => {
    void answer(task).then((result) => parentPort?.postMessage(result))
  })
}

/** Sends a task to an idle thread; rejects where the thread itself breaks. */
async function ask<Result>(worker: Worker, task: unknown): Promise<Answer<Result>> {
  return new Promise((resolve, reject) => {
    const settle = (done: () => void): void => {
      worker.off('message', onMessage)
      worker.off('error', onError)
      worker.off('exit', onExit)
      done()
    }
    const onMessage = (answer: Answer<Result>): void => settle(() => resolve(answer))
    const onError = (error: Error): void => settle(() => reject(error))
    const onExit = (code: number): void =>
      settle(() => reject(new Error(`its thread ended with exit code ${code}`)))
    worker.on('message', onMessage)
    worker.on('error', onError)
    worker.on('exit', onExit)
    worker.postMessage(task)
  })
}

function startWorker(module: URL): Worker {
  if (!import.meta.url.endsWith('.ts')) return new Worker(module)
  // Run from source (tests): a thread does not take over the loader of the main one.
  const file = JSON.stringify(module.href.replace(/\.js$/, '.ts'))
  const start = `import('tsx/esm/api').then(({ register }) => { register(); return import(${file}) })`
  return new Worker(start, { eval: true })
}
