import type { EdgeBox } from '../geometry/box.js'
import { patientToVoxel } from '../geometry/patient.js'
import { type Vector3 } from '../geometry/vector.js'
import type { HuVolume } from '../volume/index.js'
import type { Attachment, Calcification, NoduleMeasures, NoduleShape, NoduleType } from './nodules.js'
import { boundsOf } from './outline.js'
import type { Pathology } from './pathology.js'
import type { ReaderMark } from './readers.js'
import type { Scanner } from './scanner.js'
import { commonEye, type NoduleSights } from './visibility.js'

/** A nodule: what it is, by geometry, and where it is seen. */
export interface TrueNodule {
  id: string
  type: NoduleType
  attachment: Attachment
  spiculated: boolean
  lobulated: boolean
  calcification: Calcification
  /** Centroid, patient mm (LPS). */
  center: Vector3
  /** Centroid as fractional voxel indices (k, j, i). */
  centerVoxel: Vector3
  /** Diameter of the ball of the same volume, mm. */
  equivalentDiameterMm: number
  volumeMm3: number
  /** HU of the bulk; of the core too, where there is one. */
  hu: number
  coreHu?: number
  /** Readers (0 to 3) who outlined it on a slice or more. */
  readers: number[]
  /**
   * Where it is seen: boxes around what can be told from its surroundings in the noise of the scan (visibility.ts), of
   * a part-solid nodule in invisible glass the core; image pixels at the edges; z in patient mm. Center, diameter and
   * volume are those of the whole shape.
   */
  slices: { k: number; sopInstanceUid: string; z: number; box: EdgeBox }[]
}

/** What is in a synthetic scan, exactly. Written beside it as PATIENT.truth.json. */
export interface PhantomTruth {
  format: 'nodule-phantom-truth/3'
  patientId: string
  studyInstanceUid: string
  seriesInstanceUid: string
  seed: number
  contrast: boolean
  noiseHu: number
  /** Kernel of the scanner, and the vendor that it resembles. */
  kernel: string
  like: string
  /** What is no nodule and may look like one. */
  findings: { emphysema: number; patches: number; scars: number; plaques: number }
  /** Slices, rows, columns; mm; position of the first voxel in patient mm. */
  shape: readonly [number, number, number]
  spacing: Vector3
  origin: Vector3
  lungsMl: number
  /** Those that can be seen on a slice at least. */
  nodules: TrueNodule[]
  /** Nodules that cannot be seen on any slice: glass as faint as the noise, parts of a scan hidden by denser ones. */
  hidden: TrueNodule[]
  /** Solid dots below 3 mm. */
  dots: { id: string; center: Vector3; equivalentDiameterMm: number }[]
  sopInstanceUids: string[]
}

export interface TruthInput {
  volume: HuVolume
  studyInstanceUid: string
  seed: number
  contrast: boolean
  sigma: number
  scanner: Scanner
  pathology: Pathology
  /** Patient mm minus the phantom's own mm. */
  shift: Vector3
  nodules: { shape: NoduleShape; measures: NoduleMeasures }[]
  dots: readonly NoduleShape[]
}

/** The truth of a scan but for what is known only once its slices are painted: `lungsMl` and what is seen (tellSeen). */
export function makeTruth(input: TruthInput): PhantomTruth {
  const { volume, shift } = input
  const move = (p: Vector3): Vector3 => [p[0] + shift[0], p[1] + shift[1], p[2] + shift[2]]
  return {
    format: 'nodule-phantom-truth/3',
    patientId: volume.patientId,
    studyInstanceUid: input.studyInstanceUid,
    seriesInstanceUid: volume.seriesInstanceUid,
    seed: input.seed,
    contrast: input.contrast,
    noiseHu: input.sigma,
    kernel: input.scanner.kernel,
    like: input.scanner.like,
    findings: {
      emphysema: input.pathology.emphysema,
      patches: input.pathology.patches.length,
      scars: input.pathology.scars.length,
      plaques: input.pathology.plaques.length,
    },
    shape: volume.shape,
    spacing: volume.geometry.spacing,
    origin: volume.geometry.origin,
    lungsMl: 0,
    nodules: input.nodules.map(({ shape, measures }) => {
      const center = move(measures.center)
      return {
        id: shape.id,
        type: shape.type,
        attachment: shape.attachment,
        spiculated: shape.spiculated,
        lobulated: shape.lobulated,
        calcification: shape.calcification,
        center,
        centerVoxel: patientToVoxel(volume.geometry, center),
        equivalentDiameterMm: measures.equivalentDiameterMm,
        volumeMm3: measures.volumeMm3,
        hu: shape.hu,
        ...(shape.core > 0 ? { coreHu: shape.coreHu } : {}),
        readers: [],
        slices: [],
      }
    }),
    hidden: [],
    dots: input.dots.map((dot) => ({
      id: dot.id,
      center: move(dot.center),
      equivalentDiameterMm: 2 * dot.radius,
    })),
    sopInstanceUids: volume.sopInstanceUids,
  }
}

/** Fills in where the common eye sees each nodule and which readers outlined it; sets those apart that it does not see. */
export function tellSeen(
  truth: PhantomTruth,
  nodules: readonly NoduleShape[],
  sights: NoduleSights,
  readers: readonly (readonly ReaderMark[])[],
): void {
  for (const [n, shape] of nodules.entries()) {
    const nodule = truth.nodules[n]!
    nodule.readers = readers.flatMap((marks, r) =>
      marks.some((mark) => mark.kind === 'nodule' && mark.id === shape.id) ? [r] : [],
    )
    nodule.slices = sights.seen(shape, commonEye).map(({ k, mask }) => ({
      k,
      sopInstanceUid: truth.sopInstanceUids[k]!,
      z: truth.origin[2] + k * truth.spacing[0],
      box: boundsOf(mask),
    }))
  }
  truth.hidden = truth.nodules.filter(({ slices }) => slices.length === 0)
  truth.nodules = truth.nodules.filter(({ slices }) => slices.length > 0)
}
