import type { Hypes } from '../../config/hypes.js'
import type { FrameEncoding } from '../list.js'
import type { BoxRule } from './boxes.js'
import type { WrittenList } from './lists_of_parts.js'
import type { FrameParameters } from './parameters.js'
import type { SliceRule } from './select.js'
import type { SplitRule } from './split.js'
import type { WorkOptions } from '../../work.js'

/** Work that was aborted is gone on with by the same call. */
export interface PrepareOptions extends WorkOptions {
  /** Folders with DICOM series, at any depth, with their LIDC XML files or without; none where stacks are given. */
  inputs: readonly string[]
  /** A folder of nodule stacks: index.csv, stacks/PATIENT_NODULE.webp and _readers.png. */
  stacks?: string | undefined
  /** Nodules of stacks to put into copies of the scans and of the thick stacks; those of patients of the host's part. */
  insertion?: { stacks: string; count: number; variants: number } | undefined
  /** Also take scans without XML files; what DICOM segmentations among the inputs outline in them is excluded. */
  unread?: boolean | undefined
  /** Further folders with LIDC XML files. */
  annotations?: readonly string[] | undefined
  output: string
  hypes: Hypes
  /** Default: as many negatives as positives. */
  slices?: SliceRule | undefined
  boxes?: Partial<BoxRule> | undefined
  encoding?: FrameEncoding | undefined
  /** Scans with thicker slices (Slice Thickness), or slices further apart, are left out, mm; LUNA16: 2.5. */
  maxThicknessMm?: number | undefined
  /** Default: 70 % train, 10 % val, 20 % test. */
  split?: SplitRule | undefined
  /** Seed of the split and of the choice of negatives; default solver.rnd_seed. */
  seed?: number | undefined
  /** Scans at a time, each in a thread; default: the threads (NODULE_THREADS, else the cores), where memory allows. */
  jobs?: number | undefined
}

export interface PreparedScan {
  patientId: string
  seriesInstanceUid: string
  slices: number
  frames: number
  boxes: number
  nodules: number
  /** Hash of the inputs and parameters. */
  key: string
  /** Hash of the record in scans/, which holds the hash of each frame. */
  record: string
  warnings: string[]
}

/** OUTPUT/manifest.json: what the data set was made of and how. The same input gives the same file. */
export interface DatasetManifest {
  format: 'nodule-dataset/1'
  versions: { nodule: string; node: string; sharp: string; libvips: string }
  parameters: FrameParameters
  split: { kind: SplitRule['kind']; seed: number; parts: Record<string, string> }
  lists: WrittenList[]
  scans: PreparedScan[]
  /** Series that are not part of the data set, with the reason. */
  skipped: { seriesInstanceUid: string; folder: string; reason: string }[]
  /** Files that look like lost slices or annotations; their scans are prepared without them. */
  damaged: { path: string; reason: string }[]
  /** Scans that could not be prepared. */
  failed: { seriesInstanceUid: string; folder: string; error: string }[]
}

export interface PrepareResult {
  manifest: DatasetManifest
  /** Scans made now, and scans taken over from an earlier run because nothing about them changed. */
  made: number
  unchanged: number
}
