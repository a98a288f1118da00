import { serveTasks } from '../threads.js'
import { makeBatch } from './make_batch.js'

serveTasks(makeBatch)
