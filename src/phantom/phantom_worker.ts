/** A thread of `createPhantomPool`: makes and writes one patient at a time. */
import { parentPort } from 'node:worker_threads'
import { NoduleError } from '../errors.js'
import { makePatient } from './patient.js'
import type { PhantomAnswer, PhantomTask } from './pool.js'
import { writePatient } from './write_patient.js'

async function answer({ dir, options }: PhantomTask): Promise<PhantomAnswer> {
  try {
    return { written: await writePatient(dir, makePatient(options)) }
  } catch (error) {
    if (error instanceof NoduleError) return { code: error.code, message: error.message }
    return { message: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

parentPort?.on('message', (task: PhantomTask) => {
  void answer(task).then((result) => parentPort?.postMessage(result))
})
