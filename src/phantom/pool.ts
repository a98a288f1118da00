import { createThreadPool } from '../threads.js'
import type { ThreadPool } from '../threads.js'
import type { PhantomOptions } from './options.js'
import { makePatient } from './patient.js'
import { writePatient } from './write_patient.js'
import type { WrittenPatient } from './write_patient.js'

/** A patient to make, and the folder to write it to. */
export interface PhantomTask {
  dir: string
  options: PhantomOptions
}

export async function makeTask({ dir, options }: PhantomTask): Promise<WrittenPatient> {
  return writePatient(dir, makePatient(options))
}

/** Makes patients in threads of their own; with one thread, in this one unless `apart`. */
export function createPhantomPool(threads: number, apart = false): ThreadPool<PhantomTask, WrittenPatient> {
  return createThreadPool({
    threads,
    apart,
    module: new URL('./phantom_worker.js', import.meta.url),
    work: makeTask,
  })
}
