import { Worker } from 'node:worker_threads'
import { NoduleError, type NoduleErrorCode } from '../errors.js'
import type { PhantomOptions } from './options.js'
import { makePatient } from './patient.js'
import { writePatient, type WrittenPatient } from './write_patient.js'

/** A patient to make, and the folder to write it to. */
export interface PhantomTask {
  dir: string
  options: PhantomOptions
}

/** What a thread sends back. */
export type PhantomAnswer = { written: WrittenPatient } | { code?: NoduleErrorCode; message: string }

export interface PhantomPool {
  /** Makes and writes a patient; at most `threads` calls may run at a time. */
  make: (task: PhantomTask) => Promise<WrittenPatient>
  close: () => Promise<void>
}

/** Makes patients in threads of their own; with one thread, in this one. */
export function createPhantomPool(threads: number): PhantomPool {
  if (threads === 1)
    return {
      make: async ({ dir, options }) => writePatient(dir, makePatient(options)),
      close: async () => undefined,
    }
  const all: Worker[] = []
  const idle: Worker[] = []
  return {
    make: async (task) => {
      const worker = idle.pop() ?? startWorker()
      if (!all.includes(worker)) all.push(worker)
      const answer = await ask(worker, task)
      idle.push(worker)
      if ('written' in answer) return answer.written
      if (answer.code !== undefined) throw new NoduleError(answer.code, answer.message)
      throw new Error(answer.message)
    },
    close: async () => {
      await Promise.all(all.map((worker) => worker.terminate()))
    },
  }
}

async function ask(worker: Worker, task: PhantomTask): Promise<PhantomAnswer> {
  return new Promise((resolve, reject) => {
    const settle = (done: () => void): void => {
      worker.off('message', onMessage)
      worker.off('error', onError)
      worker.off('exit', onExit)
      done()
    }
    const onMessage = (result: PhantomAnswer): void => settle(() => resolve(result))
    const onError = (error: unknown): void =>
      settle(() => reject(error instanceof Error ? error : new Error(String(error))))
    const onExit = (code: number): void =>
      settle(() => reject(new Error(`the thread that made ${task.options.patientId} ended with ${code}`)))
    worker.on('message', onMessage)
    worker.on('error', onError)
    worker.on('exit', onExit)
    worker.postMessage(task)
  })
}

function startWorker(): Worker {
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./phantom_worker.js', import.meta.url))
  // Run from source (tests): a thread does not take over the loader of the main one.
  const file = JSON.stringify(new URL('./phantom_worker.ts', import.meta.url).href)
  return new Worker(`import('tsx/esm/api').then(({ register }) => { register(); return import(${file}) })`, {
    eval: true,
  })
}
