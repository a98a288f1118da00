import { readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import sharp from 'sharp'
import { checkInteger, checkObject, checkText, checkTexts } from '../../check.js'
import { eachAtOnce } from '../../each.js'
import { NoduleError, describeError } from '../../errors.js'
import { defaultJobs } from '../../kernels/addon.js'
import { makeOutputFolder, writeFileAtomic } from '../../files.js'
import { VERSION } from '../../version.js'
import { findItems } from './find_items.js'
import type { PrepareItem } from './find_items.js'
import type { StackEntry } from '../stacks/read_index.js'
import { emptyLists, listsOfParts, patientOf, writeLists } from './lists_of_parts.js'
import { frameParameters } from './parameters.js'
import { framesExist, outdate, readRecord } from './record.js'
import { sha256 } from '../../hash.js'
import type { ScanRecord } from './record.js'
import { createScanPool } from './scan_pool.js'
import { splitPatients } from './split.js'
import type { SplitRule } from './split.js'
import type { DatasetManifest, PreparedScan, PrepareOptions, PrepareResult } from './types.js'
import { count } from '../../words.js'
import { parseJson } from '../../json.js'

const DEFAULT_SPLIT: SplitRule = { kind: 'fractions', fractions: { train: 0.7, val: 0.1, test: 0.2 } }

/**
 * Makes a data set of 2.5-D frames: OUTPUT/frames/*.png, TensorBox lists for each part of the split, manifest.json,
 * and scans/*.json, by which a later run does only what changed. A scan that fails is named in the manifest and the
 * rest goes on.
 * Throws NoduleError: INVALID_PARAMETER, FILE where an input is missing or nothing can be prepared, INTERRUPTED when told to
 * stop.
 */
export async function prepareDataset(options: PrepareOptions): Promise<PrepareResult> {
  const { output, inputs, hypes } = checkObject('options', options)
  checkText('output', output)
  checkTexts('inputs', inputs)
  checkObject('hypes', hypes, 'object that readHypes gives')
  const warn = (warning: string): void => options.onWarning?.(warning)
  const seed = checkInteger('seed', options.seed ?? hypes.solver.rnd_seed, 0, 0xffffffff)
  const jobs = checkInteger('jobs', options.jobs ?? defaultJobs(), 1, 256)
  const split = options.split ?? DEFAULT_SPLIT
  if (options.insertion !== undefined) {
    checkInteger('insertions', options.insertion.count, 1, 1000)
    checkInteger('variants', options.insertion.variants, 1, 1000)
  }
  const parameters = frameParameters(options.hypes, { ...options, seed })
  const { items: all, donors, skipped, damaged } = await findItems(options, parameters, warn)
  // All scans take part in the split, the failed ones too: so it stays when they are mended.
  const parts = splitPatients(
    [...all.map((item) => ({ ...item, patientId: patientOf(item) })), ...donors],
    split,
    seed,
  )
  if (split.kind === 'given') checkGiven(all, parts, split.path, warn)
  // Copies that no list would hold are not made.
  const items = all.filter((item) => item.part === undefined || parts.has(patientOf(item)))
  await makeOutputFolder(output)

  const records: (ScanRecord | undefined)[] = Array.from({ length: items.length })
  const failed: DatasetManifest['failed'] = []
  let unchanged = 0
  let done = 0
  const pool = createScanPool(Math.min(jobs, items.length))
  try {
    await eachAtOnce(
      items,
      jobs,
      async (item, index) => {
        const { seriesInstanceUid, folder } = item
        try {
          const allowed = item.part === 'insertions' ? donorsFor(item, donors, parts) : []
          const key = await item.key(allowed)
          const old = await readRecord(output, item)
          if (old?.key === key && framesExist(output, old)) {
            records[index] = old
            unchanged++
          } else {
            if (old !== undefined) await outdate(output, old)
            records[index] = await pool.run(item.task({ parameters, output, key, old }, allowed))
          }
        } catch (error) {
          // What cannot be written here cannot be for the next scan either.
          if (!(error instanceof NoduleError) || (error.code === 'FILE' && isResult(error.path, options)))
            throw error
          failed.push({ seriesInstanceUid, folder, error: describeError(error) })
          warn(`${folder}: ${item.what} is left out: ${describeError(error)}`)
        }
        done++
        options.onProgress?.(done, items.length, patientOf(item))
      },
      options.signal,
    )
  } finally {
    await pool.close()
  }
  if (done < items.length) {
    throw new NoduleError(
      'INTERRUPTED',
      `stopped after ${done} of ${count(items.length, 'scan')}; run it again with the same options to go on`,
      { path: output },
    )
  }

  const made = records.filter((record) => record !== undefined)
  for (const record of made) for (const warning of record.warnings) warn(`${patientOf(record)}: ${warning}`)
  const lost = made.flatMap((record) => record.damaged ?? [])
  for (const { path, reason } of lost) warn(`${path}: ${reason}`)
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
    damaged: [...damaged, ...lost],
    failed: failed.sort((a, b) => (a.seriesInstanceUid < b.seriesInstanceUid ? -1 : 1)),
  }
  await writeFileAtomic(join(output, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  return { manifest, made: made.length - unchanged, unchanged }
}

/** Stacks of other patients of the same part: what a model is judged on must not lie in what it is trained on. */
function donorsFor(
  item: PrepareItem,
  donors: readonly StackEntry[],
  parts: ReadonlyMap<string, string>,
): StackEntry[] {
  const part = parts.get(patientOf(item))
  if (part === undefined) return []
  return donors.filter(
    ({ patientId, seriesInstanceUid }) =>
      parts.get(patientId) === part &&
      patientId !== item.patientId &&
      seriesInstanceUid !== item.seriesInstanceUid,
  )
}

/** Tells how many patients a file of parts leaves out. Throws NoduleError (FORMAT) where it names none of them. */
function checkGiven(
  scans: readonly PrepareItem[],
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
      `${absent.length} of ${count(patients.size, 'patient')} are in no list: ${path} does not name them (${absent[0]})`,
    )
}

/** Whether a file is one of the data set's: inputs may lie in its folder, too. */
function isResult(
  path: string | undefined,
  { output, inputs, annotations = [], stacks, insertion }: PrepareOptions,
): boolean {
  if (path === undefined || !liesIn(output, path)) return false
  return ![...inputs, ...annotations, stacks, insertion?.stacks].some(
    (input) => input !== undefined && liesIn(output, input) && liesIn(input, path),
  )
}

function liesIn(folder: string, path: string): boolean {
  return !relative(folder, path).startsWith('..')
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
    const manifest = parseJson(
      await readFile(join(output, 'manifest.json'), 'utf8'),
      join(output, 'manifest.json'),
    ) as DatasetManifest
    return manifest.lists.map((list) => list.file)
  } catch {
    // No manifest, or not one of ours: nothing to remove.
    return []
  }
}
