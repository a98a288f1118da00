/** A thread of `createScanPool`: prepares one scan at a time. */
import { parentPort } from 'node:worker_threads'
import { NoduleError } from '../errors.js'
import { prepareScan } from './scan.js'
import type { ScanMemory, ScanTask } from './scan.js'
import type { ScanAnswer } from './scan_pool.js'

const memory: ScanMemory = {}

async function answer(task: ScanTask): Promise<ScanAnswer> {
  try {
    return { record: await prepareScan(task, memory) }
  } catch (error) {
    if (error instanceof NoduleError) return { code: error.code, message: error.message }
    return { message: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

parentPort?.on('message', (task: ScanTask) => {
  void answer(task).then((result) => parentPort?.postMessage(result))
})
