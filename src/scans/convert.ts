import { checkObject, checkText, checkTexts } from '../check.js'
import { findSeries } from '../dicom/index.js'
import type { FoundSeries, Series, SeriesProblem, SkippedFile } from '../dicom/index.js'
import { dataName, writeMetaImage } from '../formats/meta_image.js'
import { NoduleError } from '../errors.js'
import { checkNoInput } from '../files.js'
import { ctObstacle } from './ct_obstacle.js'
import { evenSlices } from './even_slices.js'
import { withoutTwins } from './tell_apart.js'
import { loadVolume } from '../volume/hu_volume.js'
import { writeNifti } from '../formats/nifti.js'
import { WhyNone } from './why_none.js'

/** What was written, and what the format cannot hold. */
export interface Conversion {
  series: Series
  paths: string[]
  /** Slices that were left out, and what the format cannot hold. */
  warnings: string[]
  /** Files that should have been slices, of this volume perhaps, and cannot be read. */
  damaged: Pick<SkippedFile, 'path' | 'reason'>[]
}

/**
 * Writes the one volume in the given folders or files as NIfTI (.nii, .nii.gz) or MetaImage (.mhd with .raw or, when
 * compressed, .zraw; .mha), in HU.
 *
 * @param o.series part of a Series Instance UID, where there are several volumes
 * @param o.compress deflate the voxels of a MetaImage
 * @throws NoduleError FILE, FORMAT, UNSUPPORTED (not CT: there are no HU), INVALID_PARAMETER (no or several volumes, an unknown name, a .nii to compress)
 */
export async function convertSeries(
  inputs: readonly string[],
  output: string,
  o: { series?: string | undefined; compress?: boolean } = {},
): Promise<Conversion> {
  checkTexts('inputs', inputs)
  checkText('output', output)
  checkObject('options', o)
  if (!/\.(nii|nii\.gz|mhd|mha)$/i.test(output)) {
    throw new NoduleError('INVALID_PARAMETER', 'wrong output name', {
      path: output,
      expected: 'a name that ends in .nii, .nii.gz, .mhd or .mha',
    })
  }
  if (o.compress === true && /\.nii$/i.test(output)) {
    throw new NoduleError('INVALID_PARAMETER', 'nothing of this format can be compressed', {
      path: output,
      expected: 'a name that ends in .nii.gz, .mhd or .mha with compress',
      parameter: 'compress',
    })
  }
  const found = await findSeries(inputs)
  const twins: string[] = []
  const volumes = withoutTwins(
    found.series.filter(
      (series) => series.isVolume && (o.series === undefined || series.seriesInstanceUid.includes(o.series)),
    ),
    (twin) => twins.push(twin),
  )
  const [series] = volumes
  if (series === undefined || volumes.length > 1) {
    throw new NoduleError('INVALID_PARAMETER', 'cannot choose a volume', {
      path: inputs.join(', '),
      expected: 'one volume in all',
      actual:
        volumes.length === 0
          ? noneOf(found, o.series)
          : volumes.map((one) => one.seriesInstanceUid).join(', '),
      ...(volumes.length === 0 ? {} : { remedies: [{ do: 'choose one', parameter: 'series' }] }),
    })
  }
  const obstacle = ctObstacle(series)
  if (obstacle?.kind === 'modality')
    throw new NoduleError('UNSUPPORTED', 'cannot write this volume in HU', {
      path: series.folder,
      place: '(0008,0060)',
      expected: 'CT',
      actual: series.modality === '' ? 'none' : series.modality,
    })
  const written = /\.mhd$/i.test(output) ? [output, dataName(output, o.compress === true)] : [output]
  const read = series.slices.flatMap((slice) => [slice.path, slice.volume?.file.dataPath])
  for (const path of written) await checkNoInput(path, [...new Set(read)])
  const damaged = found.skipped
    .filter(({ kind }) => kind === 'damaged')
    .map(({ path, reason }) => ({ path, reason }))
  const { volume, note } = evenSlices(await loadVolume(series))
  const warnings = [
    ...twins,
    ...series.problems
      .map((problem) => warningOf(problem, volume.geometry.spacing[0]))
      .filter((warning) => warning !== undefined),
  ]
  if (note !== undefined) warnings.push(note)
  if (!/\.mh[ad]$/i.test(output)) {
    await writeNifti(output, { ...volume, description: `HU of ${volume.seriesInstanceUid}` })
    return { series, paths: [output], warnings, damaged }
  }
  return { series, paths: await writeMetaImage(output, volume, o.compress === true), warnings, damaged }
}

/** Files that a warning names. */
const MAX_NAMED = 10

/** What a problem of a series costs the file; undefined where it costs nothing. `distance` of the slices, mm. */
function warningOf({ kind, message, paths = [] }: SeriesProblem, distance: number): string | undefined {
  if (kind === 'no-position') return message
  if (kind === 'shifted') return `the file stacks all slices along one line: ${message}`
  if (kind === 'gap' || kind === 'uneven-spacing')
    return `the file has one slice distance for all, ${distance} mm: ${message}`
  if (!LEFT_OUT.includes(kind)) return undefined
  // Frames of one file have one path.
  const files = [...new Set(paths)]
  const more = files.length > MAX_NAMED ? ` and ${files.length - MAX_NAMED} more` : ''
  return `${message}: ${files.slice(0, MAX_NAMED).join(', ')}${more}`
}

/** Problems whose images are no part of the volume. */
const LEFT_OUT: readonly SeriesProblem['kind'][] = [
  'several-reconstructions',
  'mixed-size',
  'four-dimensional',
  'duplicate',
]

/** "none", and why what is there is no volume. */
function noneOf({ series, skipped }: FoundSeries, wanted: string | undefined): string {
  const why = new WhyNone()
  for (const { seriesInstanceUid, problems } of series) {
    const isWanted = wanted === undefined || seriesInstanceUid.includes(wanted)
    why.unfit(isWanted ? problems.map(({ message }) => message).join(', ') : '')
  }
  for (const { kind, reason } of skipped) {
    if (kind === 'foreign') why.foreign()
    else why.unfit(reason)
  }
  return `none${why.inWords()}`
}
