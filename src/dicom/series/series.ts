import { realpath, readdir, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { checkObject, checkTexts } from '../../check.js'
import { eachAtOnce } from '../../each.js'
import { NoduleError, describeError, fileError, reasonBeside } from '../../errors.js'
import type { NoduleFault } from '../../errors.js'
import { buildSeries } from './build_series.js'
import { refuseAppleDouble, skipKind } from './skip_kind.js'
import type { SkipKind } from './skip_kind.js'
import type { Series } from './types.js'
import { readHead, sliceHeaders } from '../read/header.js'
import type { SliceHeader } from '../read/header.js'
import { readDicom } from '../read/parse.js'
import type { DicomFile } from '../read/parse.js'
import { decodePixels, readPixels } from '../pixels/pixels.js'
import type { StoredPixels } from '../pixels/stored_values.js'
import {
  decodeVolumeSlice,
  isVolumeFile,
  readVolumeHeaders,
  readVoxelBytes,
  volumeNames,
} from '../pixels/volume_file.js'
import { nameOf, osPath } from '../../read_files.js'
import { text } from '../read/values.js'
import type { WorkOptions } from '../../work.js'

export interface SkippedFile {
  path: string
  kind: SkipKind
  reason: string
  /** What exactly is wrong, where it has a name. */
  fault?: NoduleFault
  /** Modality (0008,0060) of DICOM files that name one. */
  modality?: string
}

export interface FoundSeries {
  /** By patient, study, series. */
  series: Series[]
  /** Files that are not a readable image with a place in the patient. */
  skipped: SkippedFile[]
}

export interface FindSeriesOptions extends WorkOptions {
  /** Files read at a time; default 16. */
  atOnce?: number
  /** The paths are what `listFiles` gave: none is a folder, and one that cannot be read is skipped like any other. */
  listed?: boolean
  /** What the series of volume files are called, by path, where these are some of many. Default: `volumeNames`. */
  volumeNames?: ReadonlyMap<string, string> | undefined
}

/**
 * Finds the series below folders (or in files), recursively. Headers are read without pixel data. A file that cannot be
 * used never stops the search: it is listed in `skipped`, and those that are damaged are warned of. A search that is
 * aborted gives what was found so far.
 *
 * @throws NoduleError FILE where a folder that was asked for does not exist
 */
export async function findSeries(paths: readonly string[], o: FindSeriesOptions = {}): Promise<FoundSeries> {
  checkObject('options', o)
  const files = o.listed === true ? paths : await listFiles(paths)
  const names = o.volumeNames ?? volumeNames(files)
  const skipped: SkippedFile[] = []
  const headers: SliceHeader[] = []
  let done = 0
  const read = async (path: string): Promise<void> => {
    let modality: string | undefined
    try {
      await refuseAppleDouble(path)
      if (isVolumeFile(path)) {
        for (const header of await readVolumeHeaders(path, names.get(path))) headers.push(header)
        o.onProgress?.(++done, files.length)
        return
      }
      const { file, size } = await readHead(path)
      modality = text(file.dataSet, 'x00080060')
      for (const header of sliceHeaders(file, size)) headers.push(header)
    } catch (error) {
      const problem = error instanceof NoduleError ? error : unexpected(path, error)
      const kind = skipKind(path, problem)
      if (kind === 'damaged') o.onWarning?.(problem.message)
      skipped.push({
        ...{ path, kind, reason: reasonBeside(path, problem) },
        ...(problem.fault === undefined ? {} : { fault: problem.fault }),
        ...(modality === undefined ? {} : { modality }),
      })
    }
    o.onProgress?.(++done, files.length)
  }
  await eachAtOnce(files, o.atOnce ?? 16, read, o.signal)
  skipped.sort((a, b) => compare(a.path, b.path))
  // Files come in as fast as they are read; which of two equal groups is kept must not depend on that.
  headers.sort((a, b) => compare(a.path, b.path) || a.frame - b.frame)
  const series = groupBySeries(headers).map((group) => buildSeries(group))
  const key = (s: Series): string =>
    `${s.patientId}\n${s.studyInstanceUid}\n${s.seriesInstanceUid}\n${s.folder}`
  series.sort((a, b) => compare(key(a), key(b)))
  return { series, skipped }
}

/** Reads the stored values of every slice, several files at a time. Throws NoduleError (the first slice that fails). */
export async function readSeriesPixels(
  series: Pick<Series, 'slices'>,
  o: { atOnce?: number } = {},
): Promise<StoredPixels[]> {
  const pixels: StoredPixels[] = Array.from({ length: series.slices.length })
  // Frames of one compressed file, and slices of one volume file, share its bytes.
  const volumes = new Map<string, Promise<Uint8Array>>()
  const files = new Map<string, Promise<DicomFile>>()
  await eachAtOnce(series.slices, o.atOnce ?? 8, async (slice, k) => {
    if (slice.volume !== undefined) {
      const voxels = volumes.get(slice.path) ?? readVoxelBytes(slice.volume.file)
      volumes.set(slice.path, voxels)
      pixels[k] = decodeVolumeSlice(await voxels, slice.volume)
      return
    }
    if (slice.frames === 1 || slice.pixelData !== undefined) {
      pixels[k] = await readPixels(slice)
      return
    }
    const file = files.get(slice.path) ?? readDicom(slice.path)
    files.set(slice.path, file)
    pixels[k] = await decodePixels(await file, slice)
  })
  return pixels
}

/** Every regular file below the paths, once, sorted; links are followed, each folder once. Throws NoduleError FILE. */
export async function listFiles(paths: readonly string[]): Promise<string[]> {
  checkTexts('paths', paths)
  // By the whole path: one file may be named in several ways.
  const files = new Map<string, string>()
  const add = (path: string): void => {
    if (!files.has(resolve(path))) files.set(resolve(path), path)
  }
  const seen = new Set<string>()
  const visit = async (path: string, asked: boolean): Promise<void> => {
    try {
      const place = osPath(path)
      const stats = await stat(place)
      if (stats.isFile()) add(path)
      else if (stats.isDirectory()) {
        const real = (await realpath(place, { encoding: 'buffer' })).toString('latin1')
        if (seen.has(real)) return
        seen.add(real)
        const entries = await readdir(place, { encoding: 'buffer' })
        for (const entry of entries) await visit(join(path, nameOf(entry)), false)
      } else if (asked) throw new NoduleError('FILE', 'neither a file nor a folder', { path })
    } catch (error) {
      if (asked) throw fileError(path, 'read', error)
      // A broken link or a locked folder somewhere inside is no reason to stop; whoever reads it hears of it.
      add(path)
    }
  }
  for (const path of paths) await visit(path, true)
  return [...files.values()].sort(compare)
}

function groupBySeries(headers: SliceHeader[]): SliceHeader[][] {
  const groups = new Map<string, SliceHeader[]>()
  const patients = onlyPatients(headers)
  for (const header of headers) {
    // Two patients are never one series, whatever became of the UIDs when somebody anonymized them.
    const patient = header.patientId || (patients.get(header.seriesInstanceUid) ?? '')
    const key = `${patient}\n${header.volume === undefined ? '' : header.path}\n${
      header.seriesInstanceUid === ''
        ? `folder ${dirname(header.path)} ${header.studyInstanceUid} ${header.modality}`
        : header.seriesInstanceUid
    }`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [header])
    else group.push(header)
  }
  return [...groups.values()]
}

/** The patient of each series that names one alone: slices without Patient ID are that one's too. */
function onlyPatients(headers: readonly SliceHeader[]): Map<string, string> {
  const found = new Map<string, string>()
  for (const { patientId, seriesInstanceUid } of headers) {
    if (patientId === '' || seriesInstanceUid === '') continue
    const before = found.get(seriesInstanceUid)
    // Of several patients none is meant.
    found.set(seriesInstanceUid, before === undefined || before === patientId ? patientId : '')
  }
  return found
}

function unexpected(path: string, error: unknown): NoduleError {
  return new NoduleError('FORMAT', `cannot read: ${describeError(error)}`, { path, cause: error })
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
