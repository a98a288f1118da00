import { expect, it } from 'vitest'
import * as library from '../src/index.js'

it('what the second stage takes is in the library too', () => {
  const { calibrate, calibrateLike, mine, readPatchHypes, trainPatches } = library
  for (const one of [calibrate, calibrateLike, mine, readPatchHypes, trainPatches])
    expect(one).toBeTypeOf('function')
  expect(library.MINE_DEFAULTS.maxMarks).toBe(300)
})
