/** A thread of `createScanPool`: prepares one scan at a time. */
import { serveTasks } from '../../threads.js'
import type { ScanMemory } from './host.js'
import { prepareItem } from './scan_pool.js'
import type { ItemTask } from './scan_pool.js'

const memory: ScanMemory = {}

serveTasks(async (task: ItemTask) => prepareItem(task, memory))
