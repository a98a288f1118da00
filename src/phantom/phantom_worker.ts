/** A thread of `createPhantomPool`: makes and writes one patient at a time. */
import { serveTasks } from '../threads.js'
import { makeTask } from './pool.js'

serveTasks(makeTask)
