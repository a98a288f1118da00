import { Worker } from 'node:worker_threads'
import { NoduleError, describeError } from '../errors.js'
import type { NoduleErrorCode } from '../errors.js'
import type { ScanRecord } from './record.js'
import { prepareScan } from './scan.js'
import type { ScanMemory, ScanTask } from './scan.js'

/** What a thread sends back: the record, or why there is none. */
export type ScanAnswer = { record: ScanRecord } | { code?: NoduleErrorCode; message: string }

export interface ScanPool {
  /** Prepares a scan; at most `threads` calls may run at a time. Throws NoduleError. */
  prepare: (task: ScanTask) => Promise<ScanRecord>
  close: () => Promise<void>
}

/**
 * Prepares scans in threads of their own, since finding the lungs and drawing frames keep a core busy; with one
 * thread, in this one. Whatever happens in a scan, a bug and lack of memory included, becomes the NoduleError of that
 * scan: a run over a thousand scans must not end for one.
 */
export function createScanPool(threads: number): ScanPool {
  if (threads === 1) {
    const memory: ScanMemory = {}
    return {
      prepare: async (task) => {
        try {
          return await prepareScan(task, memory)
        } catch (error) {
          if (error instanceof NoduleError) throw error
          throw unexpected(error instanceof Error ? (error.stack ?? error.message) : String(error), error)
        }
      },
      close: async () => undefined,
    }
  }
  const idle: Worker[] = []
  return {
    prepare: async (task) => {
      const worker = idle.pop() ?? startWorker()
      const answer = await ask(worker, task)
      idle.push(worker)
      if ('record' in answer) return answer.record
      throw answer.code === undefined
        ? unexpected(answer.message)
        : new NoduleError(answer.code, answer.message)
    },
    close: async () => {
      await Promise.all(idle.splice(0).map((worker) => worker.terminate()))
    },
  }
}

/** Sends a task to an idle worker; throws where the worker itself breaks, which is then not used again. */
async function ask(worker: Worker, task: ScanTask): Promise<ScanAnswer> {
  return new Promise((resolve, reject) => {
    const settle = (done: () => void): void => {
      worker.off('message', onMessage)
      worker.off('error', onError)
      worker.off('exit', onExit)
      done()
    }
    const onMessage = (result: ScanAnswer): void => settle(() => resolve(result))
    const onError = (error: unknown): void => settle(() => reject(unexpected(describeError(error), error)))
    const onExit = (code: number): void => settle(() => reject(unexpected(`its thread ended with ${code}`)))
    worker.on('message', onMessage)
    worker.on('error', onError)
    worker.on('exit', onExit)
    worker.postMessage(task)
  })
}

function unexpected(reason: string, cause?: unknown): NoduleError {
  return new NoduleError('FORMAT', `unexpected failure, please report it: ${reason}`, { cause })
}

function startWorker(): Worker {
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./scan_worker.js', import.meta.url))
  // Run from source (tests): a thread does not take over the loader of the main one.
  const file = JSON.stringify(new URL('./scan_worker.ts', import.meta.url).href)
  const start = `import('tsx/esm/api').then(({ register }) => { register(); return import(${file}) })`
  return new Worker(start, { eval: true })
}
