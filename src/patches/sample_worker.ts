import { serveTasks } from '../threads.js'
import { sample } from './sample_ahead.js'

serveTasks(sample)
