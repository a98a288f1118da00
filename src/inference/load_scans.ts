import { findSeries } from '../dicom/index.js'
import type { Series } from '../dicom/index.js'
import { NoduleError } from '../errors.js'
import { loadVolume } from '../volume/index.js'
import type { HuVolume } from '../volume/index.js'

/** Tells of a file or scan that is left out (failed: although it should have been used) or noteworthy. */
export type Note = (failed: boolean, place: string, message: string) => void

export interface FoundScans {
  /** The CT volumes. */
  series: Series[]
  /** Files that should have been slices and cannot be read. */
  damaged: string[]
}

export interface FindScansOptions {
  onProgress?: ((done: number, total: number) => void) | undefined
  interrupted?: (() => boolean) | undefined
}

/** Finds what nodules can be detected in; notes what cannot be used. Throws NoduleError (FILE). */
export async function findScans(
  paths: readonly string[],
  note: Note,
  o: FindScansOptions = {},
): Promise<FoundScans> {
  const found = await findSeries(paths, {
    ...(o.onProgress === undefined ? {} : { onProgress: o.onProgress }),
    ...(o.interrupted === undefined ? {} : { interrupted: o.interrupted }),
  })
  const damaged = found.skipped.filter(({ kind }) => kind === 'damaged')
  for (const { path, reason } of damaged) note(true, path, reason)
  const series = found.series.filter((item) => {
    const reason =
      item.modality !== 'CT'
        ? `${item.modality || 'no modality'}, not CT`
        : item.isVolume
          ? undefined
          : item.problems.map(({ message }) => message).join('; ')
    if (reason !== undefined) note(false, scanPlace(item), `left out: ${reason}`)
    return reason === undefined
  })
  if (series.length === 0) note(true, paths.join(', '), 'no CT series that makes a volume')
  return { series, damaged: damaged.map(({ path }) => path) }
}

/** A scan in memory. */
export interface LoadedScan {
  /** Without the slices that could not be read. */
  series: Series
  volume: HuVolume
  /** Milliseconds from the first byte to HU; other work may have run in between. */
  ms: number
  warnings: string[]
}

/**
 * Loads the volumes of the series, one ahead: while the caller works on a scan, the next one is read. Two volumes at
 * most are in memory; their buffers are used again, so that a volume is valid until the next one is asked for.
 * A scan that cannot be loaded gives its error.
 */
export async function* readAhead<Item extends { series: Series }>(
  items: readonly Item[],
  note: Note,
): AsyncGenerator<{ item: Item; loaded: LoadedScan | NoduleError }> {
  const spare: Int16Array[] = []
  const start = (index: number): Promise<LoadedScan | NoduleError> | undefined => {
    const item = items[index]
    if (item === undefined) return undefined
    const loading = loadScan(item.series, spare.pop(), note)
    // It is awaited only when its turn comes; until then nobody would hear of an error.
    loading.catch(() => undefined)
    return loading
  }
  let next = start(0)
  try {
    for (const [index, item] of items.entries()) {
      const loaded = await next!
      next = start(index + 1)
      yield { item, loaded }
      if (!(loaded instanceof NoduleError))
        spare.push(new Int16Array(loaded.volume.data.buffer as ArrayBuffer))
    }
  } finally {
    // The caller may leave early: let the reading end before its files are closed.
    await next?.catch(() => undefined)
  }
}

/** A slice that cannot be read costs a scan one slice, up to this many. */
const MAX_BAD_SLICES = 5

/** Loads a volume; a slice whose pixels cannot be read is left out, and the series built anew without it. */
async function loadScan(
  series: Series,
  reuse: Int16Array | undefined,
  note: Note,
): Promise<LoadedScan | NoduleError> {
  const start = performance.now()
  const warnings: string[] = []
  let current = series
  for (;;) {
    try {
      const volume = await loadVolume(current, reuse === undefined ? {} : { reuse })
      return { series: current, volume, ms: performance.now() - start, warnings }
    } catch (error) {
      if (!(error instanceof NoduleError)) throw error
      const bad = current.slices.find(({ path }) => path === error.path)
      if (bad === undefined || warnings.length >= MAX_BAD_SLICES) return error
      note(true, bad.path, error.message.replace(`${bad.path}: `, ''))
      warnings.push(`slice left out: ${error.message}`)
      const rest = current.slices.map(({ path }) => path).filter((path) => path !== bad.path)
      const again = (await findSeries(rest)).series.find(
        (item) => item.seriesInstanceUid === series.seriesInstanceUid && item.isVolume,
      )
      if (again === undefined) return error
      current = again
    }
  }
}

/** The scan in words: patient and series. */
export function scanPlace(series: Pick<Series, 'patientId' | 'seriesInstanceUid' | 'folder'>): string {
  return [series.patientId, series.seriesInstanceUid || series.folder].filter((part) => part !== '').join(' ')
}
