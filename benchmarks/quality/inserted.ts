import type { Occupied } from '../../src/dataset/insertion/find_place.js'
import { insertNodules } from '../../src/dataset/insertion/insert.js'
import { ownNodule } from '../../src/dataset/stacks/own_nodule.js'
import { readStackIndex } from '../../src/dataset/stacks/read_index.js'
import { readStack } from '../../src/dataset/stacks/read_stack.js'
import type { NoduleStack } from '../../src/dataset/stacks/read_stack.js'
import { patientToVoxel, voxelToPatient } from '../../src/geometry/patient.js'
import { detectVolume } from '../../src/inference/index.js'
import { createRandom } from '../../src/random.js'
import { loadVolume, segmentLungs } from '../../src/volume/index.js'
import type { HuVolume } from '../../src/volume/index.js'
import { best, hits, parametersOf } from './marks.js'
import type { Judged } from './marks.js'
import type { InsertedOutcome } from './outcomes.js'
import { partsOf } from '../../src/dataset/stacks/parts.js'
import type { KnownScan } from './scans.js'

/** Nodules in a copy of a scan, and copies at most. */
const COUNT = 14
const ROUNDS = 10

/**
 * Each nodule of at least three readers and 3 mm of a part, put into one of the whole scans: what stacks cannot show, a
 * nodule among all that surrounds it. The scans take them in turn; copies of a scan until all are in that find a place.
 */
export async function judgeInserted(
  judged: Judged,
  scans: readonly KnownScan[],
  folder: string,
  part: string,
): Promise<InsertedOutcome[]> {
  const donors = await readDonors(folder, part, 3)
  const outcomes: InsertedOutcome[] = []
  for (const [n, { series, findings }] of scans.entries()) {
    const volume = await loadVolume(series)
    const lungs = segmentLungs(volume)
    const occupied = occupiedBy(findings, volume)
    let left = donors.filter((_, at) => at % scans.length === n)
    for (let round = 0; left.length > 0 && round < ROUNDS; round++) {
      const random = createRandom(1).fork(`${series.seriesInstanceUid} ${round}`)
      const { volume: copy, placed } = insertNodules(volume, lungs, left, { count: COUNT, occupied }, random)
      if (placed.length === 0) break
      const { nodules } = await detectVolume(copy, judged.session, {
        parameters: parametersOf(judged, 'lungs'),
      })
      for (const { donorPatientId, donorNodule, readers, axialDiameterMm, center, at } of placed) {
        const place = voxelToPatient(volume.geometry, ...center)
        const hit = best(nodules.filter((mark) => hits(mark.center, place, axialDiameterMm)))
        outcomes.push({
          ...{ patientId: donorPatientId, nodule: donorNodule, readers, diameterMm: axialDiameterMm },
          ...{ host: series.patientId, at, score: hit?.confidence ?? 0 },
          ...(hit === undefined ? {} : { measuredMm: hit.boxDiameterMm }),
        })
      }
      const done = new Set(placed.map((nodule) => `${nodule.donorPatientId} ${nodule.donorNodule}`))
      left = left.filter(({ entry }) => !done.has(`${entry.patientId} ${entry.nodule}`))
    }
  }
  return outcomes
}

/** What insertions keep away from: a scan's own findings. */
export const occupiedBy = (findings: KnownScan['findings'], { geometry }: HuVolume): Occupied[] =>
  findings.map(({ x, y, z, diameterMm }) => ({
    center: patientToVoxel(geometry, [x, y, z]),
    diameterMm: Math.max(6, diameterMm),
  }))

/** The stacks of a part whose nodule at least three readers outlined, of at least `leastMm`. */
export async function readDonors(folder: string, part: string, leastMm: number): Promise<NoduleStack[]> {
  const index = readStackIndex(folder)
  const parts = partsOf(index.stacks.map(({ patientId }) => patientId))
  const donors: NoduleStack[] = []
  for (const entry of index.stacks) {
    if (parts.get(entry.patientId) !== part) continue
    const stack = await readStack(folder, entry)
    const own = ownNodule(stack)
    if (own.readers >= 3 && own.axialDiameterMm >= leastMm) donors.push(stack)
  }
  return donors
}
