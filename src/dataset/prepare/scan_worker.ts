/** A thread of `createScanPool`: prepares one scan at a time. */
import { serveTasks } from '../../threads.js'
import { prepareScan } from './scan.js'
import type { ScanMemory, ScanTask } from './scan.js'

const memory: ScanMemory = {}

serveTasks(async (task: ScanTask) => prepareScan(task, memory))
