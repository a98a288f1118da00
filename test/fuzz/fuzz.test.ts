/**
 * Mutants of every parser's files end in a result or a NoduleError, in the memory and time of src/limits.ts. A long run:
 * NODULE_FUZZ=100000 npx vitest run test/fuzz; NODULE_SEED=N makes other mutants; -t NAME takes one parser.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NoduleError } from '../../src/errors.js'
import { memoryLimit, timeLimit, voxelLimit } from '../../src/limits.js'
import { createRandom } from '../../src/random.js'
import { canMeasurePeak, peakGrowth } from '../dicom/memory.js'
import { mutate } from '../dicom/mutate.js'
import { targets } from './targets.js'
import type { Target } from './targets.js'
import { mutateText } from './text_mutants.js'

const COUNT = Number(process.env['NODULE_FUZZ'] ?? 250)
const SEED = Number(process.env['NODULE_SEED'] ?? 1)

let folder: string
let all: Target[]
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-fuzz-'))
  all = await targets(folder)
}, 60_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const NAMES = [
  ...['lists', 'hypes', 'detections', 'evaluations', 'logs', 'JSON to XML', 'cubes', 'LIDC XML', 'tables'],
  ...['NIfTI', 'MetaImage', 'safetensors', 'weights', 'images', 'models'],
]

describe('mutants', () => {
  it('are made of every target', () => {
    expect(all.map(({ name }) => name)).toEqual(NAMES)
  })

  it.each(NAMES)(
    'of %s',
    async (name) => {
      const target = all.find((one) => one.name === name)!
      const count = Math.ceil((COUNT * (target.share ?? 100)) / 100)
      const random = createRandom(SEED).fork(name)
      let read = 0
      for (let n = 0; n < count; n++) {
        const sample = target.samples[n % target.samples.length]!
        // The first of each is whole.
        const isWhole = n < target.samples.length
        const change = target.isText && random.uniform() < 0.8 ? mutateText : mutate
        const mutant = isWhole ? sample.bytes : change(sample.bytes, random)
        const place = join(folder, `${name} ${sample.name}`)
        mkdirSync(place, { recursive: true })
        writeFileSync(join(place, sample.name), mutant)
        const label = `mutant ${n} of ${sample.name} (seed ${SEED})`
        if (await examine(target, join(place, sample.name), mutant.length, label)) read++
        else if (isWhole) throw new Error(`${sample.name} is not read whole`)
      }
      expect(read).toBeGreaterThan(0)
    },
    // The time that counts is the processor's: the machine may be busy.
    120_000 + COUNT * 200,
  )
})

/** Whether it was read. */
async function examine(target: Target, path: string, size: number, label: string): Promise<boolean> {
  let isRead = true
  let ms = 0
  const work = async (): Promise<void> => {
    const start = process.cpuUsage()
    try {
      await target.read(path)
    } catch (error) {
      if (!(error instanceof NoduleError)) throw error
      isRead = false
    }
    const { user, system } = process.cpuUsage(start)
    ms = (user + system) / 1000
  }
  const most = target.isVolume === true ? voxelLimit(size) : memoryLimit(size)
  try {
    if (!canMeasurePeak) await work()
    else if ((await peakGrowth(work)) > most)
      // Garbage of earlier mutants may have been collected late: what the file itself costs, it costs again.
      expect(await peakGrowth(work), label).toBeLessThanOrEqual(most)
  } catch (error) {
    throw new Error(label, { cause: error })
  }
  expect(ms, label).toBeLessThan(timeLimit(size))
  return isRead
}
