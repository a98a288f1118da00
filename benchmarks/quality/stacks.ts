import { ownNodule } from '../../src/dataset/stacks/own_nodule.js'
import { readStackIndex } from '../../src/dataset/stacks/read_index.js'
import { readStack } from '../../src/dataset/stacks/read_stack.js'
import type { NoduleStack } from '../../src/dataset/stacks/read_stack.js'
import { voxelToPatient } from '../../src/geometry/patient.js'
import type { Vector3 } from '../../src/geometry/vector.js'
import { detectVolume } from '../../src/inference/index.js'
import { best, hits, parametersOf } from './marks.js'
import type { Judged } from './marks.js'
import type { NoduleOutcome } from './outcomes.js'
import { partsOf } from '../../src/dataset/stacks/parts.js'

function centerOf(stack: NoduleStack, agreement: number): Vector3 {
  const [, rows, columns] = stack.volume.shape
  let [n, k, j, i] = [0, 0, 0, 0]
  stack.readers.forEach((count, at) => {
    if (count < agreement) return
    n++
    k += Math.floor(at / (rows * columns))
    j += Math.floor(at / columns) % rows
    i += at % columns
  })
  return voxelToPatient(stack.volume.geometry, k / n, j / n, i / n)
}

/** The nodules of the stacks of a part: the best mark that hits each. */
export async function judgeStacks(judged: Judged, folder: string, part: string): Promise<NoduleOutcome[]> {
  const index = readStackIndex(folder)
  const parts = partsOf(index.stacks.map(({ patientId }) => patientId))
  const outcomes: NoduleOutcome[] = []
  for (const entry of index.stacks) {
    if (parts.get(entry.patientId) !== part) continue
    const stack = await readStack(folder, entry)
    const own = ownNodule(stack)
    const center = centerOf(stack, own.agreement)
    const { nodules } = await detectVolume(stack.volume, judged.session, {
      parameters: parametersOf(judged, 'all'),
    })
    const hit = best(nodules.filter((mark) => hits(mark.center, center, own.axialDiameterMm)))
    const { patientId, nodule } = entry
    const { readers, axialDiameterMm: diameterMm } = own
    outcomes.push({
      patientId,
      nodule,
      readers,
      diameterMm,
      score: hit?.confidence ?? 0,
      ...(hit === undefined ? {} : { measuredMm: hit.boxDiameterMm }),
    })
    if (process.stderr.isTTY) process.stderr.write(`\r${outcomes.length} stacks`)
  }
  return outcomes
}
