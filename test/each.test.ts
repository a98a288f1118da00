import { expect, test } from 'vitest'
import { eachAtOnce } from '../src/each.js'

/** Lets every work that is begun come to its next await. */
const turn = async (): Promise<void> => new Promise((done) => setImmediate(done))

test('works on the items in order, a few at a time', async () => {
  let running = 0
  let most = 0
  const begun: string[] = []
  await eachAtOnce(['a', 'b', 'c', 'd', 'e'], 2, async (item, index) => {
    begun.push(`${item}${index}`)
    most = Math.max(most, ++running)
    await turn()
    running--
  })
  expect(begun).toEqual(['a0', 'b1', 'c2', 'd3', 'e4'])
  expect(most).toBe(2)
})

test('a failure begins nothing new, lets what was begun end, and is thrown: the first of several', async () => {
  const ended: number[] = []
  const work = async (item: number): Promise<void> => {
    if (item === 1) throw new Error('first')
    await turn()
    ended.push(item)
    if (item === 2) throw new Error('second')
  }
  await expect(eachAtOnce([0, 1, 2, 3, 4], 3, work)).rejects.toThrow('first')
  expect(ended).toEqual([0, 2])
})

test('an aborted signal begins nothing new', async () => {
  const stop = new AbortController()
  const done: number[] = []
  const work = async (item: number): Promise<void> => {
    done.push(item)
    if (item === 1) stop.abort()
    await turn()
  }
  await eachAtOnce([0, 1, 2, 3], 1, work, stop.signal)
  expect(done).toEqual([0, 1])
})

test('of nothing there is nothing to do', async () => {
  await expect(eachAtOnce([], 4, () => Promise.reject(new Error('never')))).resolves.toBeUndefined()
})

test('a number at a time that would leave everything undone is refused', async () => {
  const work = async (): Promise<void> => Promise.resolve()
  for (const most of [0, -1, 0.5, Number.NaN, 'x'])
    await expect(eachAtOnce([1], most as number, work)).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      parameters: ['atOnce'],
    })
  await eachAtOnce([1], Infinity, work)
})
