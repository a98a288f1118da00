/** The kernels: C++ against their TypeScript twins, against memory copies, and against Python peers. */
import { requireAddon } from '../src/kernels/addon.js'
import { benchHungarian, benchRezoom, benchRoiAlign } from './kernels_boxes.js'
import { benchFrames, benchHu } from './kernels_voxels.js'
import { makeRow, measureTogether } from './measure.js'
import type { Row, Subject, SubjectOptions } from './types.js'

async function benchCall({ seconds }: SubjectOptions): Promise<Row[]> {
  const { nothing } = requireAddon()
  const { ours } = await measureTogether({ ours: nothing }, seconds / 2)
  return [makeRow('kernels', 'an empty call', ours, '1 us', 0.001, { goal: '>= 1x' })]
}

export const subject: Subject = {
  describe: 'hu, frames, rezoom and hungarian in C++ against TypeScript, memory copies and Python peers',
  async run(options) {
    requireAddon()
    const rows: Row[] = []
    for (const part of [benchCall, benchHu, benchFrames, benchRezoom, benchRoiAlign, benchHungarian])
      rows.push(...(await part(options)))
    return rows
  },
}
