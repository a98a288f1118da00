import { readFile } from 'node:fs/promises'
import { availableParallelism, freemem } from 'node:os'
import { join, relative } from 'node:path'
import sharp from 'sharp'
import { checkInteger, checkNumber } from '../../check.js'
import type { Hypes } from '../../config/hypes.js'
import { findSeries, listFiles } from '../../dicom/index.js'
import type { Series } from '../../dicom/index.js'
import { NoduleError, describeError } from '../../errors.js'
import { makeOutputFolder, writeFileAtomic } from '../../files.js'
import { VERSION } from '../../version.js'
import type { BoxRule } from './boxes.js'
import { annotationsBySeries } from './findings.js'
import type { FrameEncoding } from '../list.js'
import { emptyLists, listsOfParts, patientOf, writeLists } from './lists_of_parts.js'
import type { WrittenList } from './lists_of_parts.js'
import { frameParameters } from './parameters.js'
import type { FrameParameters } from './parameters.js'
import { framesExist, readRecord, scanKey, sha256 } from './record.js'
import type { ScanRecord } from './record.js'
import { createScanPool } from './scan_pool.js'
import type { SliceRule } from './select.js'
import { splitPatients } from './split.js'
import type { SplitRule } from './split.js'

export interface PrepareOptions {
  /** Folders with DICOM series, at any depth, with their LIDC XML files or without. */
  inputs: readonly string[]
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
  /** Scans at a time, each in a thread; default: the cores, where memory allows. */
  concurrency?: number | undefined
  /** Asked between scans; true ends the work, to be gone on with by the same call. */
  interrupted?: () => boolean
  onProgress?: (done: number, total: number, note: string) => void
  onWarning?: (warning: string) => void
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

/** What a scan of 500 slices needs, with room. */
const BYTES_PER_SCAN = 1.5 * 2 ** 30

/** As many as there are cores, where memory allows. */
function defaultConcurrency(): number {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(freemem() / BYTES_PER_SCAN)))
}

const DEFAULT_SPLIT: SplitRule = { kind: 'fractions', fractions: { train: 0.7, val: 0.1, test: 0.2 } }

/**
 * Makes a data set of 2.5-D frames: OUTPUT/frames/*.png, TensorBox lists for each part of the split, manifest.json,
 * and scans/*.json, by which a later run does only what changed. A scan that fails is named in the manifest and the
 * rest goes on.
 * Throws NoduleError: FILE where an input is missing or nothing can be prepared, INTERRUPTED when told to stop.
 */
export async function prepareDataset(options: PrepareOptions): Promise<PrepareResult> {
  const { output } = options
  const warn = (warning: string): void => options.onWarning?.(warning)
  const seed = checkInteger('seed', options.seed ?? options.hypes.solver.rnd_seed, 0, 0xffffffff)
  const concurrency = checkInteger('concurrency', options.concurrency ?? defaultConcurrency(), 1, 256)
  const split = options.split ?? DEFAULT_SPLIT
  const parameters = frameParameters(options.hypes, { ...options, seed })
  const { scans, skipped, damaged, annotationFiles } = await findScans(options, warn)
  // All scans take part in the split, the failed ones too: so it stays when they are mended.
  const parts = splitPatients(
    scans.map((series) => ({ patientId: patientOf(series), seriesInstanceUid: series.seriesInstanceUid })),
    split,
    seed,
  )
  if (split.kind === 'given') checkGiven(scans, parts, split.path, warn)
  await makeOutputFolder(output)

  const records: (ScanRecord | undefined)[] = Array.from({ length: scans.length })
  const failed: DatasetManifest['failed'] = []
  let unchanged = 0
  let done = 0
  const pool = createScanPool(Math.min(concurrency, scans.length))
  try {
    await eachAtOnce(scans, concurrency, options.interrupted, async (series, index) => {
      const { seriesInstanceUid, folder } = series
      try {
        const files = annotationFiles.get(seriesInstanceUid)!
        const key = await scanKey(series, files, parameters)
        const old = await readRecord(output, seriesInstanceUid)
        if (old?.key === key && framesExist(output, old)) {
          records[index] = old
          unchanged++
        } else
          records[index] = await pool.run({
            series,
            annotationFiles: files,
            parameters,
            output,
            key,
            old,
          })
      } catch (error) {
        // What cannot be written here cannot be for the next scan either.
        if (!(error instanceof NoduleError) || (error.code === 'FILE' && liesIn(output, error.path)))
          throw error
        failed.push({ seriesInstanceUid, folder, error: describeError(error) })
        warn(`${folder}: the scan is left out: ${describeError(error)}`)
      }
      done++
      options.onProgress?.(done, scans.length, patientOf(series))
    })
  } finally {
    await pool.close()
  }
  if (done < scans.length) {
    throw new NoduleError(
      'INTERRUPTED',
      `stopped after ${done} of ${scans.length} scans; run it again with the same options to go on`,
      { path: output },
    )
  }

  const made = records.filter((record) => record !== undefined)
  for (const record of made) for (const warning of record.warnings) warn(`${patientOf(record)}: ${warning}`)
  const lists = listsOfParts(made, parts, split)
  const written = await writeLists(output, lists, await listsOfManifest(output))
  for (const warning of emptyLists(written, split, failed.length)) warn(warning)
  const manifest: DatasetManifest = {
    format: 'nodule-dataset/1',
    versions: {
      nodule: VERSION,
      node: process.versions.node,
      sharp: sharp.versions.sharp ?? '',
      libvips: sharp.versions.vips,
    },
    parameters,
    split: {
      kind: split.kind,
      seed,
      parts: Object.fromEntries([...parts].sort(([a], [b]) => (a < b ? -1 : 1))),
    },
    lists: written,
    scans: made.map(summary),
    skipped,
    damaged,
    failed: failed.sort((a, b) => (a.seriesInstanceUid < b.seriesInstanceUid ? -1 : 1)),
  }
  await writeFileAtomic(join(output, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  return { manifest, made: made.length - unchanged, unchanged }
}

/** Tells how many patients a file of parts leaves out. Throws NoduleError (FORMAT) where it names none of them. */
function checkGiven(
  scans: readonly Series[],
  parts: ReadonlyMap<string, string>,
  path: string,
  warn: (warning: string) => void,
): void {
  const patients = new Set(scans.map(patientOf))
  const absent = [...patients].filter((id) => !parts.has(id))
  if (absent.length === patients.size)
    throw new NoduleError('FORMAT', 'names none of the patients', {
      path,
      expected: `such as ${absent[0]}`,
      actual: 'other names only',
    })
  if (absent.length > 0)
    warn(
      `${absent.length} of ${patients.size} patients are in no list: ${path} does not name them (${absent[0]})`,
    )
}

/** The series that can be prepared, with their annotation files, and why the others cannot. */
async function findScans(
  options: PrepareOptions,
  warn: (warning: string) => void,
): Promise<{
  scans: Series[]
  skipped: DatasetManifest['skipped']
  damaged: DatasetManifest['damaged']
  annotationFiles: Map<string, string[]>
}> {
  const found = await findSeries(options.inputs, {
    ...(options.interrupted && { interrupted: options.interrupted }),
  })
  if (options.interrupted?.() === true)
    throw new NoduleError('INTERRUPTED', 'stopped while looking for scans', { path: options.output })
  const damaged = found.skipped
    .filter((file) => file.kind === 'damaged')
    .map(({ path, reason }) => ({ path, reason }))
  const files = await listFiles([...options.inputs, ...(options.annotations ?? [])])
  const xml = files.filter((path) => /\.xml$/i.test(path))
  const { bySeries, foreign, problems } = await annotationsBySeries(xml)
  for (const path of foreign) warn(`${path}: not a LIDC XML file`)
  damaged.push(...problems)
  for (const { path, reason } of damaged) warn(`${path}: ${reason}`)
  const maxThickness = checkNumber('maxThicknessMm', options.maxThicknessMm ?? 1000, 0, 1000)
  const scans: Series[] = []
  const skipped: DatasetManifest['skipped'] = []
  for (const series of found.series) {
    const { seriesInstanceUid, folder } = series
    const reason = reasonToSkip(series, bySeries, maxThickness)
    if (reason === undefined) scans.push(series)
    else skipped.push({ seriesInstanceUid, folder, reason })
  }
  if (scans.length === 0) {
    const reasons = [...new Set(skipped.map((item) => item.reason))].join('; ')
    throw new NoduleError('FILE', 'nothing to prepare', {
      path: options.inputs.join(', '),
      expected: 'CT series with LIDC XML files',
      actual: `${found.series.length} series, ${xml.length} XML files${reasons === '' ? '' : ` (${reasons})`}`,
    })
  }
  return { scans, skipped, damaged, annotationFiles: bySeries }
}

function reasonToSkip(
  series: Series,
  bySeries: ReadonlyMap<string, string[]>,
  maxThickness: number,
): string | undefined {
  if (series.modality !== 'CT') return `modality ${series.modality === '' ? 'unknown' : series.modality}`
  if (series.seriesInstanceUid === '') return 'no Series Instance UID'
  if (!series.isVolume) return series.problems[0]?.message ?? 'no volume'
  if (!bySeries.has(series.seriesInstanceUid)) return 'no LIDC XML file'
  const thickness = Math.max(series.thickness ?? 0, series.geometry.spacing[0])
  // Distances come from positions: a little above the limit is the limit.
  if (thickness > maxThickness + 1e-3) return `slices of more than ${maxThickness} mm`
  return undefined
}

function liesIn(folder: string, path: string | undefined): boolean {
  return path !== undefined && !relative(folder, path).startsWith('..')
}

/** Works on the items, some at a time, until done, interrupted, or one fails: what was begun is ended, then it throws. */
async function eachAtOnce<T>(
  items: readonly T[],
  concurrency: number,
  interrupted: (() => boolean) | undefined,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0
  const failures: unknown[] = []
  const worker = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      if (interrupted?.() === true) return
      const index = next++
      try {
        await work(items[index]!, index)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker))
  if (failures.length > 0) throw failures[0]
}

function summary(record: ScanRecord): PreparedScan {
  return {
    patientId: record.patientId,
    seriesInstanceUid: record.seriesInstanceUid,
    slices: record.slices,
    frames: record.entries.length,
    boxes: record.entries.reduce((sum, entry) => sum + entry.rects.length, 0),
    nodules: record.nodules.filter((nodule) => nodule.accepted).length,
    key: record.key,
    record: sha256(`${JSON.stringify(record)}\n`),
    warnings: record.warnings,
  }
}

/** The lists that an earlier run wrote here. */
async function listsOfManifest(output: string): Promise<string[]> {
  try {
    const manifest = JSON.parse(await readFile(join(output, 'manifest.json'), 'utf8')) as DatasetManifest
    return manifest.lists.map((list) => list.file)
  } catch {
    // No manifest, or not one of ours: nothing to remove.
    return []
  }
}
