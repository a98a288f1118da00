/** The thread of threads.test.ts. */
import { NoduleError } from '../src/errors.js'
import { serveTasks } from '../src/threads.js'

export async function work(task: number | string): Promise<number> {
  if (task === 'wrong') throw new NoduleError('NUMERIC', 'a task', { path: 'wrong' })
  if (task === 'bug') throw new TypeError('a bug')
  if (task === 'die') process.exit(3)
  return Number(task) * 2
}

serveTasks(work)
