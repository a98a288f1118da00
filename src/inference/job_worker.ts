/** A process of `runJobs`: opens the model once, then works on the scans that it is sent. */
import { NoduleError, stackOf } from '../errors.js'
import type { DetectNote } from '../scans/find_scans.js'
import type { FromWorker, ToWorker } from './jobs.js'
import { readAhead } from '../scans/load_scans.js'
import { detectScan } from './detect_to_file.js'
import type { ScanOutcome, ScanSettings, DetectTask } from './detect_to_file.js'
import { openStages } from './second.js'
import type { Session } from './session.js'

let session: Promise<Session> | undefined
let settings: ScanSettings | undefined

function send(message: FromWorker): void {
  process.send?.(message)
}

async function work(task: DetectTask): Promise<ScanOutcome | undefined> {
  const note = (one: DetectNote): void => send({ kind: 'note', note: one })
  const opened = await session!
  const begin = performance.now()
  for await (const { loaded } of readAhead([task], note))
    return await (
      await detectScan(task, loaded, opened, settings!, { note, begin })
    )?.()
  return undefined
}

async function onMessage(message: ToWorker): Promise<void> {
  if (message.kind === 'start') {
    settings = message.settings
    session = openStages(message.model, message.second, {
      device: message.device,
      threads: message.threads,
    })
    // Reported with the first scan.
    session.catch(() => undefined)
    return
  }
  try {
    send({ kind: 'done', outcome: await work(message.task) })
  } catch (error) {
    if (error instanceof NoduleError) send({ kind: 'error', error: error.toData() })
    else send({ kind: 'bug', stack: stackOf(error) })
  }
}

process.on('message', (message) => void onMessage(message as ToWorker))
// The parent is gone, or has no more work.
process.on('disconnect', () => process.exit())
// Signals reach every process of a terminal or of a service: the parent decides. It waits for the scan at hand, or ends at
// once: then this process hears that it is gone, and leaves nothing half written.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined)
