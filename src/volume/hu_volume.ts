import { checkObject, invalidParameter } from '../check.js'
import { readSeriesPixels } from '../dicom/index.js'
import type { Series, SliceHeader, StoredPixels } from '../dicom/index.js'
import { NoduleError } from '../errors.js'
import type { VolumeGeometry } from '../geometry/patient.js'
import { checkArray } from '../kernels/arrays.js'
import { huConvert } from '../kernels/hu.js'

/** A scan in Hounsfield units. */
export interface HuVolume {
  /** HU, [z, y, x]; z grows along `geometry.sliceDirection`. Padding outside the scanned circle is -1000. */
  data: Int16Array
  /** Slices, rows, columns. */
  shape: readonly [number, number, number]
  geometry: VolumeGeometry
  /** One per slice. */
  sopInstanceUids: string[]
  seriesInstanceUid: string
  patientId: string
}

export interface LoadVolumeOptions {
  /** A buffer of an earlier volume: its memory is used again when it is large enough. */
  reuse?: Int16Array
}

/** Returns `volume` where it is one, for the doors of the library, or throws `invalidParameter`. */
export function checkHuVolume(volume: HuVolume): HuVolume {
  const { data, geometry } = checkObject('volume', volume, 'volume that loadVolume gives')
  if (!(data instanceof Int16Array) || typeof geometry !== 'object')
    throw invalidParameter('volume', 'volume that loadVolume gives', volume)
  return volume
}

/**
 * Reads the pixels of a series and converts them to HU, slice by slice with its own slope and intercept; padding
 * (Pixel Padding Value, in the sign of the pixels) becomes air, -1000 HU.
 *
 * @throws NoduleError FORMAT, FILE, UNSUPPORTED: a slice that cannot be read, slices of different size; INVALID_PARAMETER
 */
export async function loadVolume(series: Series, o: LoadVolumeOptions = {}): Promise<HuVolume> {
  if (!Array.isArray((series as Series | undefined)?.slices))
    throw invalidParameter('series', 'one of the series that findSeries gives', series)
  checkObject('options', o)
  const first = series.slices[0]
  if (first === undefined)
    throw new NoduleError('FORMAT', 'a series without slices', { path: series.folder, expected: 'images' })
  const { rows, columns } = first
  const odd = series.slices.find((slice) => slice.rows !== rows || slice.columns !== columns)
  if (odd !== undefined)
    throw new NoduleError('FORMAT', 'slices of different size', {
      path: odd.path,
      expected: `${rows} x ${columns}`,
      actual: `${odd.rows} x ${odd.columns}`,
    })
  const lut = series.slices.find((slice) => slice.hasModalityLut)
  if (lut !== undefined)
    throw new NoduleError('UNSUPPORTED', 'cannot apply a Modality LUT', {
      path: lut.path,
      place: '(0028,3000)',
      expected: 'Rescale Slope and Intercept',
    })
  // One of another type would pass for a volume, with values that its readers do not expect.
  if (o.reuse !== undefined) checkArray('reuse', o.reuse, [Int16Array])
  const pixels = rows * columns
  const length = pixels * series.slices.length
  const data =
    o.reuse !== undefined && o.reuse.length >= length ? o.reuse.subarray(0, length) : new Int16Array(length)
  const stored = (await readSeriesPixels(series)).map((slice) =>
    slice instanceof Int8Array ? Int16Array.from(slice) : slice,
  )
  for (const [start, end] of runs(series.slices, stored)) {
    const slices = series.slices.slice(start, end)
    await huConvert({
      slices: stored.slice(start, end),
      slope: slices.map((slice) => slice.rescaleSlope),
      intercept: slices.map((slice) => slice.rescaleIntercept),
      padding: slices[0]!.padding,
      out: data.subarray(start * pixels, end * pixels),
    })
  }
  return {
    data,
    shape: [series.slices.length, rows, columns],
    geometry: series.geometry,
    sopInstanceUids: series.slices.map((slice) => slice.sopInstanceUid),
    seriesInstanceUid: series.seriesInstanceUid,
    patientId: series.patientId,
  }
}

/** Runs [start, end) of slices that one batch can convert: same type of stored values and same padding. */
function* runs(headers: SliceHeader[], stored: StoredPixels[]): Generator<[number, number]> {
  let start = 0
  for (let k = 1; k <= headers.length; k++) {
    const same =
      k < headers.length &&
      stored[k]!.constructor === stored[start]!.constructor &&
      headers[k]!.padding?.low === headers[start]!.padding?.low &&
      headers[k]!.padding?.high === headers[start]!.padding?.high
    if (same) continue
    yield [start, k]
    start = k
  }
}
