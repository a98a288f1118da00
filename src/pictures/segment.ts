import { join, relative } from 'node:path'
import { checkObject, checkText, checkTexts } from '../check.js'
import { findSeries, type Series } from '../dicom/index.js'
import { ctObstacle, withoutTwins } from '../scans/index.js'
import { NoduleError } from '../errors.js'
import { distinctFileNames, makeOutputFolder, writeFileAtomic } from '../files.js'
import { loadVolume } from '../volume/hu_volume.js'
import { segmentLungs } from '../volume/lungs/lungs.js'
import { type Lungs, checkClosing } from '../volume/lungs/types.js'
import { lungMontage } from './montage.js'
import { writeNifti } from '../formats/nifti.js'
import { alignColumns } from '../text_table.js'
import { isStopped, keepFailures } from '../work.js'
import type { WorkOptions } from '../work.js'
import { evenMask } from '../scans/even_slices.js'

export interface SegmentedSeries {
  patientId: string
  seriesInstanceUid: string
  folder: string
  /** Slices, rows, columns. */
  shape: readonly [number, number, number]
  volumeMl: Lungs['volumeMl']
  box: Lungs['box']
  warnings: string[]
  /** Mask and picture, where they were asked for. */
  maskPath?: string
  montagePath?: string
  /** Milliseconds of reading the scan and of finding the lungs. */
  readMs: number
  segmentMs: number
}

export interface SegmentFoldersOptions extends WorkOptions {
  /** Folder for masks and montages. */
  output: string
  /** Write the mask as NIfTI: 1 the right lung, 2 the left. Default true. */
  nifti?: boolean
  /** Draw the montage. Default true. */
  montage?: boolean
  closingMm?: number
}

/**
 * Segments the lungs of every CT volume below the folders, once where a series and its volume file are there. A series that fails, or a file that is damaged, is told of and
 * the rest goes on.
 *
 * @returns what was done, the number of series and files that failed, and why, one line each
 * @throws NoduleError FILE where a folder does not exist, or results cannot be written to `output`
 */
export async function segmentFolders(
  folders: readonly string[],
  o: SegmentFoldersOptions,
): Promise<{ done: SegmentedSeries[]; failed: number; problems: string[] }> {
  checkTexts('folders', folders)
  checkText('output', checkObject('options', o).output)
  if (o.closingMm !== undefined) checkClosing(o.closingMm)
  await makeOutputFolder(o.output)
  const { problems, fail } = keepFailures(o)
  const { series: found, skipped } = await findSeries(folders, { signal: o.signal })
  const damaged = skipped.filter(({ kind }) => kind === 'damaged')
  for (const { path, reason } of damaged) fail(`${path}: ${reason}`)
  const scans = withoutTwins(found, (warning) => o.onWarning?.(warning)).filter((one) => {
    const obstacle = ctObstacle(one)
    if (obstacle?.kind === 'not-axial' && one.isVolume)
      o.onWarning?.(`${one.folder}: left out: ${obstacle.reason}`)
    return obstacle === undefined
  })
  if (isStopped(o.signal)) return { done: [], failed: 0, problems: [] }
  if (scans.length === 0)
    throw new NoduleError('FORMAT', 'no CT volume in the folders', {
      path: folders.join(', '),
      expected: 'at least one CT series of two axial slices or more',
    })
  const names = fileNames(scans)
  const done: SegmentedSeries[] = []
  let reuse: Int16Array | undefined
  for (const [n, scan] of scans.entries()) {
    if (isStopped(o.signal)) break
    try {
      const start = performance.now()
      const volume = await loadVolume(scan, reuse === undefined ? {} : { reuse })
      if (reuse === undefined || volume.data.buffer !== reuse.buffer) reuse = volume.data
      const read = performance.now()
      const lungs = segmentLungs(volume, {
        sides: o.nifti !== false,
        ...(o.closingMm === undefined ? {} : { closingMm: o.closingMm }),
      })
      const end = performance.now()
      const name = names.get(scan)!
      const result: SegmentedSeries = {
        patientId: scan.patientId,
        seriesInstanceUid: scan.seriesInstanceUid,
        folder: scan.folder,
        shape: volume.shape,
        volumeMl: lungs.volumeMl,
        box: lungs.box,
        warnings: lungs.warnings,
        readMs: read - start,
        segmentMs: end - read,
      }
      if (o.nifti !== false) {
        result.maskPath = join(o.output, `${name}.lungs.nii.gz`)
        const even = evenMask(lungs.sides ?? lungs.mask, volume)
        if (even.note !== undefined) result.warnings = [...result.warnings, even.note]
        await writeNifti(result.maskPath, {
          data: even.mask,
          shape: even.shape,
          geometry: even.geometry,
          description: 'lungs: 1 right, 2 left',
        })
      }
      if (o.montage !== false) {
        result.montagePath = join(o.output, `${name}.lungs.png`)
        const { total, left, right } = lungs.volumeMl
        const title = `${scan.patientId}   lungs ${total.toFixed(0)} ml (right ${right.toFixed(0)}, left ${left.toFixed(0)})`
        await writeFileAtomic(result.montagePath, await lungMontage(volume, lungs, title))
      }
      done.push(result)
    } catch (error) {
      if (!(error instanceof NoduleError)) throw error
      fail(failureOf(scan, error))
    }
    o.onProgress?.(n + 1, scans.length, scan.patientId)
  }
  return { done, failed: problems.length, problems }
}

/** What failed of a scan, with its folder: a message need not name a file of the scan. */
export function failureOf({ folder }: Pick<Series, 'folder'>, error: NoduleError): string {
  const within = error.path !== undefined && !relative(folder, error.path).startsWith('..')
  return within ? error.message : `${folder}: ${error.message}`
}

type Named = Pick<Series, 'patientId' | 'seriesInstanceUid'>

/** Room for an ending in the 255 bytes of a name: a volume file's own may take all of them, and it is patient and series. */
const MAX_NAME = 200

/**
 * A file name for each scan: patient and the end of the series UID, short. Scans that would share one (UIDs may end alike,
 * or be missing) get the whole UID, and a number where that is the same, too.
 */
export function fileNames<T extends Named>(scans: readonly T[]): Map<T, string> {
  const clean = (text: string): string => text.replaceAll(/[^\w.-]/g, '-').slice(0, MAX_NAME)
  const short = (scan: T): string =>
    clean(`${scan.patientId}_${scan.seriesInstanceUid.split('.').at(-1)!.slice(-8)}`)
  const count = new Map<string, number>()
  for (const scan of scans) count.set(short(scan), (count.get(short(scan)) ?? 0) + 1)
  const names = scans.map((scan) =>
    count.get(short(scan)) === 1 ? short(scan) : clean(`${scan.patientId}_${scan.seriesInstanceUid}`),
  )
  return new Map(distinctFileNames(names).map((name, n) => [scans[n]!, name]))
}

/** One line per scan: patient, volumes in ml, slices of the lungs, milliseconds, warnings. */
export function segmentTable(done: readonly SegmentedSeries[]): string {
  const head = [
    'patient',
    'series',
    'right ml',
    'left ml',
    'total ml',
    'slices',
    'read ms',
    'lungs ms',
    'warnings',
  ]
  const rows = done.map((one) => [
    one.patientId,
    `...${one.seriesInstanceUid.slice(-8)}`,
    one.volumeMl.right.toFixed(0),
    one.volumeMl.left.toFixed(0),
    one.volumeMl.total.toFixed(0),
    `${one.box.z[0]}-${one.box.z[1] - 1}`,
    one.readMs.toFixed(0),
    one.segmentMs.toFixed(0),
    one.warnings.join('; '),
  ])
  return alignColumns([head, ...rows], { indent: '', left: head.length })
}
