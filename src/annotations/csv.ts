import { csvCell } from '../clean.js'
import { findingsCsv } from '../formats/luna.js'
import { lunaNodule } from './luna.js'
import type { AnnotatedSeries } from './types.js'
import { RATING_NAMES } from './types.js'
import type { ConsensusNodule } from './types.js'
import type { Fields } from './where.js'

/**
 * What a nodule can be asked for, and the columns of the CSV: places in mm and voxels; of the consensus mask its
 * volume (`maskVolume`) and the diameter of the sphere of that volume (`equivalentDiameter`); pylidc's measures averaged
 * over the readers: the greatest distance of two contour points on one slice (`axialDiameter`), the volume inside the
 * contours (`contourVolume`), the surface; mean (`malignancy`) and median (`malignancyMedian`) of each rating.
 */
export function noduleFields({ series }: AnnotatedSeries, nodule: ConsensusNodule): Fields {
  const [x, y, z] = nodule.centroid
  const [k, j, i] = nodule.centroidVoxel
  return {
    patient: series.patientId,
    series: series.seriesInstanceUid,
    nodule: nodule.id,
    readers: nodule.readers,
    x,
    y,
    z,
    k,
    j,
    i,
    firstSlice: nodule.boxes[0]?.k,
    lastSlice: nodule.boxes.at(-1)?.k,
    slices: nodule.boxes.length,
    equivalentDiameter: nodule.equivalentDiameterMm,
    axialDiameter: nodule.axialDiameterMm,
    maskVolume: nodule.maskVolumeMm3,
    contourVolume: nodule.contourVolumeMm3,
    surface: nodule.surfaceMm2,
    ...Object.fromEntries(
      RATING_NAMES.flatMap((name) => [
        [name, nodule.ratings?.[name].mean],
        [`${name}Median`, nodule.ratings?.[name].median],
      ]),
    ),
  }
}

/** Names that `noduleFields` gives, in its order. */
export const NODULE_FIELDS: readonly string[] = [
  ...[
    'patient',
    'series',
    'nodule',
    'readers',
    'x',
    'y',
    'z',
    'k',
    'j',
    'i',
    'firstSlice',
    'lastSlice',
    'slices',
  ],
  ...['equivalentDiameter', 'axialDiameter', 'maskVolume', 'contourVolume', 'surface'],
  ...RATING_NAMES.flatMap((name) => [name, `${name}Median`]),
]

/** Those of `NODULE_FIELDS` that are texts. */
export const TEXT_FIELDS: readonly string[] = ['patient', 'series']

/** Short names that conditions may use, and the field that each stands for. */
export const FIELD_ALIASES: Readonly<Record<string, string>> = {
  diameter: 'equivalentDiameter',
  volume: 'maskVolume',
}

/** One row a nodule, with a header. */
export function nodulesCsv(annotated: readonly AnnotatedSeries[]): string {
  const rows = annotated.flatMap((one) =>
    one.nodules.map((nodule) => {
      const fields = noduleFields(one, nodule)
      return NODULE_FIELDS.map((name) => cell(fields[name]))
    }),
  )
  return lines([NODULE_FIELDS, ...rows])
}

/** LUNA16's annotations.csv: seriesuid,coordX,coordY,coordZ,diameter_mm; the nodules of at least `minReaders`. */
export function lunaCsv(annotated: readonly AnnotatedSeries[], minReaders = 3): string {
  const findings = annotated.flatMap(({ series, nodules }) =>
    nodules
      .filter((nodule) => nodule.readers >= minReaders)
      .map((nodule) => lunaNodule(nodule, series.geometry))
      .filter((nodule) => nodule !== undefined)
      .map(({ center: [x, y, z], equivalentDiameterMm }) => ({
        seriesUid: series.seriesInstanceUid,
        x,
        y,
        z,
        equivalentDiameterMm,
      })),
  )
  return findingsCsv(findings)
}

function cell(value: number | string | undefined): string {
  if (value === undefined) return ''
  if (typeof value === 'number') return String(Number(value.toPrecision(10)))
  return csvCell(value)
}

function lines(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => `${row.join(',')}\n`).join('')
}
