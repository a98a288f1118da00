import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { temporaryFolder } from './folder.js'
import { tryMutants } from './campaign.js'
import { JSON_TARGETS, OTHER_TARGETS, targets } from './targets.js'
import type { Target } from './targets.js'

/** Mutants of each parser in `npm test`; npm run fuzz tries more. */
const COUNT = 1000
const SEED = Number(process.env['NODULE_SEED'] ?? 1)

/** Mutants of the targets end in a result or a NoduleError, in the memory and time of src/limits.ts. */
export function describeMutants(names: readonly string[]): void {
  describe('mutants', () => {
    let folder: string
    let all: Target[]
    beforeAll(async () => {
      folder = temporaryFolder()
      all = await targets(folder)
    })
    afterAll(() => rmSync(folder, { recursive: true, force: true }))

    it('are made of every target, here or in the other file', () => {
      expect(all.map(({ name }) => name)).toEqual([...JSON_TARGETS, ...OTHER_TARGETS])
    })

    it.each(names)(
      'of %s',
      async (name) => {
        const target = all.find((one) => one.name === name)!
        const { mutants, read, failures } = await tryMutants(target, {
          from: 0,
          to: COUNT,
          seed: SEED,
          folder,
        })
        expect(failures).toEqual([])
        expect(mutants).toBe(COUNT)
        expect(read).toBeGreaterThanOrEqual(target.samples.length)
        expect(read).toBeLessThan(COUNT)
      },
      // The time that counts is the processor's: the machine may be busy.
      300_000,
    )
  })
}
