import type { Series } from '../dicom/index.js'
import { NoduleError } from '../errors.js'
import { loadVolume } from '../volume/index.js'
import type { HuVolume } from '../volume/index.js'
import { isSingleImage, seriesOf } from './find_scans.js'
import type { Note, ScanFiles } from './find_scans.js'

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
 * Loads the volumes of the scans, one ahead: while the caller works on a scan, the next one is read. Two volumes at
 * most are in memory; their buffers are used again, so that a volume is valid until the next one is asked for.
 * A scan that cannot be loaded gives its error.
 */
export async function* readAhead<Item extends { scan: ScanFiles }>(
  items: readonly Item[],
  note: Note,
): AsyncGenerator<{ item: Item; loaded: LoadedScan | NoduleError }> {
  const spare: Int16Array[] = []
  const start = (index: number): Promise<LoadedScan | NoduleError> | undefined => {
    const item = items[index]
    if (item === undefined) return undefined
    const loading = loadScan(item.scan, spare.pop(), note)
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
  scan: ScanFiles,
  reuse: Int16Array | undefined,
  note: Note,
): Promise<LoadedScan | NoduleError> {
  const start = performance.now()
  const bad: string[] = []
  const warnings: string[] = []
  for (;;) {
    try {
      const series = await seriesOf(scan, bad)
      if (series === undefined || !(series.isVolume || isSingleImage(series)))
        return new NoduleError('FORMAT', 'no volume is left of the series', { path: scan.folder })
      const volume = await loadVolume(series, reuse === undefined ? {} : { reuse })
      return { series, volume, ms: performance.now() - start, warnings }
    } catch (error) {
      if (!(error instanceof NoduleError)) throw error
      const path = error.path
      // Of one file, a volume's or that of all frames, nothing would be left.
      const isSlice = path !== undefined && scan.paths.length > 1 && scan.paths.includes(path)
      if (!isSlice || bad.length >= MAX_BAD_SLICES) return error
      bad.push(path)
      note({ failed: true, place: path, message: error.reason })
      warnings.push(`slice left out: ${error.message}`)
    }
  }
}
