import { checkInteger, checkObject, checkText } from '../check.js'
import { eachAtOnce } from '../each.js'
import { makeOutputFolder } from '../files.js'
import { defaultJobs } from '../kernels/addon.js'
import { createRandom } from '../random.js'
import { PHANTOM_KEYS, checkOptions, type PhantomOptions } from './options.js'
import { createPhantomPool, type PhantomTask } from './pool.js'
import type { WrittenPatient } from './write_patient.js'
import type { WorkOptions } from '../work.js'

export interface PhantomsOptions
  extends Omit<PhantomOptions, 'patientId'>, Pick<WorkOptions, 'signal' | 'onProgress'> {
  /** How many; default 1. */
  patients?: number
  /** Number of the first patient ID: PHANTOM-0001 by default. */
  first?: number
  /** Patients made at a time, each in a thread of its own; default: the threads (NODULE_THREADS, else the cores), where memory allows. */
  jobs?: number
}

/**
 * Writes patients PHANTOM-0001, PHANTOM-0002, ... into DIR. Each patient has its own seed, derived from `seed` and its
 * number, so that a patient is the same whichever others are made.
 *
 * @returns what was written, by number; aborted, what was written so far
 * @throws NoduleError FILE, INVALID_PARAMETER
 */
export async function writePhantoms(dir: string, o: PhantomsOptions = {}): Promise<WrittenPatient[]> {
  checkText('dir', dir)
  checkObject('options', o)
  const { patients = 1, first = 1, jobs = defaultJobs(), signal, onProgress, ...rest } = o
  // What else callers hand on (onWarning, say) could not be copied to a thread.
  const entries = Object.entries(rest).filter(([key]) => key in PHANTOM_KEYS)
  const options = Object.fromEntries(entries) as Omit<PhantomOptions, 'patientId'>
  checkInteger('patients', patients, 1, 9999)
  checkInteger('first', first, 1, 9999)
  checkInteger('jobs', jobs, 1, 256)
  checkOptions(options)
  const random = createRandom(checkInteger('seed', o.seed ?? 1, 0, 0xffffffff))
  const tasks: PhantomTask[] = Array.from({ length: patients }, (_, n) => ({
    dir,
    options: {
      ...options,
      seed: random.fork(`patient ${first + n}`).integer(0x100000000),
      patientId: `PHANTOM-${String(first + n).padStart(4, '0')}`,
    },
  }))
  await makeOutputFolder(dir)
  // Who may abort wants to be able to while a patient is made.
  const pool = createPhantomPool(Math.min(jobs, patients), signal !== undefined)
  const written: WrittenPatient[] = []
  try {
    await eachAtOnce(
      tasks,
      jobs,
      async (task) => {
        const done = await pool.run(task)
        written.push(done)
        onProgress?.(written.length, patients, done.patientId)
      },
      signal,
    )
  } finally {
    await pool.close()
  }
  return written.sort((a, b) => (a.patientId < b.patientId ? -1 : 1))
}
