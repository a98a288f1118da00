import { unexpectedFailure } from '../../errors.js'
import { createThreadPool } from '../../threads.js'
import type { ThreadPool } from '../../threads.js'
import type { ScanRecord } from './record.js'
import { prepareScan } from './scan.js'
import type { ScanTask } from './scan.js'
import type { ScanMemory } from './host.js'
import { prepareInsertions } from './insertions.js'
import type { InsertionTask } from './insertions.js'
import { prepareStacks } from './stacks.js'
import type { StacksTask } from './stacks.js'
import { prepareStackCopies } from './stack_copies.js'
import type { StackCopiesTask } from './stack_copies.js'

export type ItemTask = ScanTask | StacksTask | StackCopiesTask | InsertionTask

export async function prepareItem(task: ItemTask, memory: ScanMemory): Promise<ScanRecord> {
  if (task.kind === 'stacks') return prepareStacks(task)
  if (task.kind === 'stack-copies') return prepareStackCopies(task)
  return task.kind === 'scan' ? prepareScan(task, memory) : prepareInsertions(task, memory)
}

/**
 * Prepares scans in threads of their own, since finding the lungs and drawing frames keep a core busy; with one
 * thread, in this one. Whatever happens in a scan, a bug and lack of memory included, becomes the NoduleError of that
 * scan.
 */
export function createScanPool(threads: number): ThreadPool<ItemTask, ScanRecord> {
  const memory: ScanMemory = {}
  return createThreadPool({
    threads,
    module: new URL('./scan_worker.js', import.meta.url),
    work: async (task) => prepareItem(task, memory),
    unexpected: unexpectedFailure,
  })
}
