import type { SliceFinding } from '../dataset/prepare/boxes.js'
import { voxelToPatient } from '../geometry/patient.js'
import type { Vector3 } from '../geometry/vector.js'
import { DETECT_DEFAULTS, detectVolume } from '../inference/index.js'
import type { DetectedNodule, DetectedSlice, Session } from '../inference/index.js'
import { reachFrom, sampleCubes } from '../patches/index.js'
import type { CubeRecord, CubeSource, CubeSpec, MarkBox } from '../patches/index.js'
import { createRandom } from '../random.js'
import type { Random } from '../random.js'
import { distanceToFindings, labelMark, trueNodules } from './findings.js'
import type { TrueNodule } from './findings.js'
import type { MineSource, MineVolume } from './sources.js'

/** How a volume is mined. */
export interface MineRule {
  /** Marks of the first stage below this confidence are left out. */
  minScore: number
  /** The most confident marks of a volume that are kept. */
  maxMarks: number
  /** Cubes of a nodule: one at its center, the others moved. */
  cubesPerNodule: number
  /** Points of the background of a scan, and of a stack. */
  backgroundOfScan: number
  backgroundOfStack: number
  seed: number
}

/** Background keeps this far from every finding, mm. */
const BACKGROUND_MM = 5
/** Half of the background lies in what is no lung air (vessels, walls), where such a place is found. */
const TISSUE_HU = -600
const TRIES = 30

interface Wanted {
  record: Omit<CubeRecord, 'center' | 'voxel' | 'reach'>
  voxel: Vector3
}

/**
 * The cubes of a volume: its nodules, whether the first stage finds them or not; the first stage's marks that hit or are
 * wrong; points of the background. Without a session there are no marks.
 */
export async function mineVolume(
  source: MineSource,
  { volume, findings, diameters }: MineVolume,
  session: Session | undefined,
  spec: CubeSpec,
  fineSide: number,
  rule: MineRule,
): Promise<{ source: CubeSource; bytes: Uint8Array }> {
  const random = createRandom(rule.seed).fork(`mine ${source.key}`)
  const nodules = trueNodules(findings, diameters)
  const detected =
    session === undefined
      ? { nodules: [], slices: [] }
      : await detectVolume(volume, session, {
          parameters: {
            ...DETECT_DEFAULTS,
            minScore: rule.minScore,
            region: source.cut ? 'all' : 'lungs',
          },
        })
  const [, rows, columns] = volume.shape
  const [, rowMm, columnMm] = volume.geometry.spacing
  const inside = ([, j, i]: Vector3): boolean =>
    Math.min(j + 0.5, rows - j - 0.5) * rowMm >= fineSide / 2 &&
    Math.min(i + 0.5, columns - i - 0.5) * columnMm >= fineSide / 2
  // The fine planes should show tissue all over; how far the coarse ones do, training levels between the classes.
  const fits = (voxel: Vector3): boolean => !source.cut || inside(voxel)

  const marks = markCubes(detected, nodules, findings, volume, rule)
  const best = new Map<string, number>()
  for (const { record } of marks)
    if (record.finding !== undefined)
      best.set(record.finding, Math.max(best.get(record.finding) ?? 0, record.score!))
  const wanted: Wanted[] = [
    ...nodules.flatMap((nodule) =>
      nodule.id === source.stack || fits(nodule.voxel)
        ? nodulePoints(nodule, volume.geometry.spacing, rule.cubesPerNodule, random).map((voxel): Wanted => ({
            record: noduleRecord(nodule, best.get(nodule.id)),
            voxel,
          }))
        : [],
    ),
    ...marks.filter(({ record, voxel }) => record.finding === source.stack || fits(voxel)),
    ...background(volume, findings, source.cut ? rule.backgroundOfStack : rule.backgroundOfScan, fits, random)
      .filter((voxel) => labelMark(voxel, nodules, findings, volume.geometry).kind === 'false')
      .map((voxel): Wanted => ({ record: { reason: 'background', labels: { nodule: 0 } }, voxel })),
  ]
  const cubes = wanted.map(({ record, voxel }): CubeRecord => ({
    ...record,
    center: voxelToPatient(volume.geometry, ...voxel),
    voxel,
    ...(source.cut ? { reach: reachFrom(volume, voxel) } : {}),
  }))
  const { key, patientId, seriesInstanceUid, stack, origin } = source
  return {
    source: { key, patientId, seriesInstanceUid, ...(stack === undefined ? {} : { stack }), origin, cubes },
    bytes: sampleCubes(
      volume,
      cubes.map(({ voxel }) => voxel),
      spec,
    ),
  }
}

function noduleRecord(nodule: TrueNodule, score: number | undefined): Wanted['record'] {
  return {
    reason: 'nodule',
    labels: { nodule: 1 },
    finding: nodule.id,
    axialDiameterMm: nodule.axialDiameterMm,
    ...(score === undefined ? {} : { score }),
  }
}

/** The marks that are right or wrong, the most confident first. */
function markCubes(
  { nodules: marks, slices }: { nodules: readonly DetectedNodule[]; slices: readonly DetectedSlice[] },
  nodules: readonly TrueNodule[],
  findings: readonly SliceFinding[],
  volume: MineVolume['volume'],
  rule: MineRule,
): Wanted[] {
  const boxes = new Map<number, MarkBox[]>()
  for (const { k, boxes: found } of slices) {
    for (const { nodule, x1, y1, x2, y2 } of found) {
      if (nodule === undefined) continue
      const own = boxes.get(nodule)
      if (own === undefined) boxes.set(nodule, [{ k, x1, y1, x2, y2 }])
      else own.push({ k, x1, y1, x2, y2 })
    }
  }
  return marks
    .filter(({ confidence }) => confidence >= rule.minScore)
    .slice(0, rule.maxMarks)
    .flatMap(({ id, centerVoxel: voxel, confidence: score, boxDiameterMm }): Wanted[] => {
      const label = labelMark(voxel, nodules, findings, volume.geometry)
      if (label.kind === 'ignored') return []
      const common = { reason: 'mark', score } as const
      if (label.kind === 'hit') {
        const { nodule } = label
        const truth = { labels: { nodule: 1 }, finding: nodule.id, axialDiameterMm: nodule.axialDiameterMm }
        return [{ record: { ...common, ...truth, boxDiameterMm }, voxel }]
      }
      return [
        { record: { ...common, labels: { nodule: 0 }, boxDiameterMm, boxes: boxes.get(id) ?? [] }, voxel },
      ]
    })
}

/** The center, and points near it, as marks lie: a quarter of the radius away on average, 3 mm at most. */
function nodulePoints(
  { voxel, axialDiameterMm }: TrueNodule,
  spacing: Vector3,
  count: number,
  random: Random,
): Vector3[] {
  const deviation = axialDiameterMm / 8
  return Array.from({ length: count }, (_, n) =>
    n === 0
      ? voxel
      : (voxel.map((at, axis) => {
          const moved = Math.max(-3, Math.min(3, random.normal() * deviation))
          return at + moved / spacing[axis]!
        }) as unknown as Vector3),
  )
}

/** Points away from all findings, in the middle of what the volume shows. */
function background(
  volume: MineVolume['volume'],
  findings: readonly SliceFinding[],
  count: number,
  fits: (voxel: Vector3) => boolean,
  random: Random,
): Vector3[] {
  const [slices, rows, columns] = volume.shape
  const hu = (point: Vector3): number => {
    const [k, j, i] = point.map(Math.round) as [number, number, number]
    return volume.data[(k * rows + j) * columns + i]!
  }
  const points: Vector3[] = []
  for (let n = 0; n < count; n++) {
    const dense = random.uniform() < 0.5
    for (let tries = 0; tries < TRIES; tries++) {
      // Beside the outermost eighth, which is table and air in scans.
      const within = (size: number): number => (0.125 + 0.75 * random.uniform()) * (size - 1)
      const point: Vector3 = [random.uniform() * (slices - 1), within(rows), within(columns)]
      if (!fits(point) || (dense && tries < TRIES / 2 && hu(point) < TISSUE_HU)) continue
      if (distanceToFindings(point, findings, volume.geometry) < BACKGROUND_MM) continue
      points.push(point)
      break
    }
  }
  return points
}
