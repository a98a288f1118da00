import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { NoduleError } from '../errors.js'
import type { NoduleErrorData } from '../errors.js'
import { scanPlace } from '../scans/tell_apart.js'
import type { DetectNote } from '../scans/find_scans.js'
import type { DetectRun, ScanOutcome, ScanSettings, DetectTask } from './detect_to_file.js'
import type { Session } from './session.js'

/** To a worker: first how to work, then one scan at a time. */
export type ToWorker =
  | {
      kind: 'start'
      model: string
      second: string
      device: 'cpu' | 'cuda'
      threads: number
      settings: ScanSettings
    }
  | { kind: 'scan'; task: DetectTask }

/** From a worker. */
export type FromWorker =
  | { kind: 'note'; note: DetectNote }
  | { kind: 'done'; outcome: ScanOutcome | undefined }
  | { kind: 'error'; error: NoduleErrorData }
  | { kind: 'bug'; stack: string }

/**
 * Works on scans in several processes: rendering and the lungs are single-threaded, so that an archive goes through
 * faster this way than by more threads. A process that dies (a fault in native code, out of memory) costs its scan
 * only: it is noted, and another process takes its place.
 */
export async function runJobs(
  tasks: readonly DetectTask[],
  session: Session,
  settings: ScanSettings,
  jobs: number,
  run: DetectRun,
): Promise<void> {
  const threads = Math.max(1, Math.floor(Math.min(session.threads, availableParallelism()) / jobs))
  const queue = [...tasks]
  const { path: model, device } = session
  const start: ToWorker = {
    ...{ kind: 'start', model, second: session.second?.path ?? 'none', device, threads, settings },
  }
  let failure: NoduleError | undefined
  const next = (): DetectTask | undefined => (run.stop() || failure !== undefined ? undefined : queue.shift())

  const work = async (): Promise<void> => {
    let worker: ChildProcess | undefined
    for (let task = next(); task !== undefined; task = next()) {
      worker ??= startWorker(start)
      const answer = await ask(worker, task, run)
      if (answer === 'died') worker = undefined
      else if (answer instanceof NoduleError) failure = answer
      else if (answer !== undefined) run.finish(answer)
      run.progress(0, scanPlace(task.scan))
    }
    worker?.disconnect()
  }
  await Promise.all(Array.from({ length: jobs }, work))
  if (failure !== undefined) throw failure
}

function startWorker(start: ToWorker): ChildProcess {
  const compiled = fileURLToPath(new URL('./job_worker.js', import.meta.url))
  const file = import.meta.url.endsWith('.js') ? compiled : compiled.replace(/js$/, 'ts')
  const worker = fork(file, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  worker.send(start)
  return worker
}

/** Gives a scan to a worker and waits until it is done; an error is one that ends the run. */
async function ask(
  worker: ChildProcess,
  task: DetectTask,
  run: DetectRun,
): Promise<ScanOutcome | undefined | NoduleError | 'died'> {
  return new Promise((resolve) => {
    const end = (answer: ScanOutcome | undefined | NoduleError | 'died'): void => {
      worker.off('message', onMessage)
      worker.off('exit', onExit)
      worker.off('error', onError)
      resolve(answer)
    }
    const fail = (message: string): void => run.note({ failed: true, place: scanPlace(task.scan), message })
    const onMessage = (message: unknown): void => {
      const from = message as FromWorker
      if (from.kind === 'note') run.note(from.note)
      else if (from.kind === 'done') end(from.outcome)
      else if (from.kind === 'error') end(NoduleError.fromData(from.error))
      else {
        fail(`this is a bug: ${from.stack}`)
        end(undefined)
      }
    }
    const died = (how: string): void => {
      fail(`the process that worked on it ended (${how})`)
      end('died')
    }
    const onExit = (code: number | null, signal: NodeJS.Signals | null): void =>
      died(signal === null ? `exit status ${code}` : `signal ${signal}`)
    const onError = (error: Error): void => died(error.message)
    worker.on('message', onMessage)
    worker.on('exit', onExit)
    worker.on('error', onError)
    const message: ToWorker = { kind: 'scan', task }
    worker.send(message)
  })
}
