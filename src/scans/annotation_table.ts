import { ratingMeaning } from '../annotations/index.js'
import type { AnnotatedFolders } from './annotate.js'
import type { AnnotatedSeries } from '../annotations/types.js'
import { RATING_NAMES } from '../annotations/types.js'
import type { ConsensusNodule, PlacedReading } from '../annotations/types.js'
import { count } from '../words.js'
import { alignColumns } from '../text_table.js'

const COLUMNS = [
  'nodule',
  'readers',
  'x mm',
  'y mm',
  'z mm',
  'slices',
  'equivalentDiameter',
  'axialDiameter',
  'maskVolume',
  'malignancy',
] as const

/** Consensus nodules for people: one block per series. */
export function annotationTable(run: AnnotatedFolders): string {
  return run.annotated.map(seriesBlock).join('\n')
}

function seriesBlock(annotated: AnnotatedSeries): string {
  const { series, reading, placed, nodules } = annotated
  const rows = nodules.map(row)
  return [
    `${series.patientId}  ${series.seriesInstanceUid}\n`,
    `  ${count(series.slices.length, 'slice')}, ${count(reading.sessions.length, 'reader')}, ${placementText(placed)}\n`,
    rows.length > 0 ? alignColumns([COLUMNS, ...rows], { left: 0 }) : `  ${whyNone(annotated)}\n`,
  ].join('')
}

/** Why a series has no nodule to show. */
function whyNone({ leftOut }: AnnotatedSeries): string {
  const { byReaders, byCondition } = leftOut ?? { byReaders: 0, byCondition: 0 }
  if (byReaders + byCondition === 0) return 'no nodule of 3 mm or more'
  const lacks = [
    ...(byReaders > 0 ? ['has enough readers'] : []),
    ...(byCondition > 0 ? ['meets the condition'] : []),
  ]
  return `none of ${count(byReaders + byCondition, 'nodule')} ${lacks.join(' and ')}`
}

/** "54 of 54 ROIs placed on their slices (54 by UID, 0 by z)" */
export function placementText(placed: PlacedReading): string {
  const done = placed.placedByUid + placed.placedByZ
  const total = done + placed.unplaced.length
  const point = `${count(placed.smallNodules.length, 'small nodule')}, ${count(placed.nonNodules.length, 'non-nodule')}`
  return `${done} of ${count(total, 'ROI')} placed on their slices (${placed.placedByUid} by UID, ${placed.placedByZ} by z), ${point}`
}

function row(nodule: ConsensusNodule): string[] {
  const [x, y, z] = nodule.centroid
  const slices = nodule.boxes.map(({ k }) => k)
  return [
    String(nodule.id),
    String(nodule.readers),
    x.toFixed(1),
    y.toFixed(1),
    z.toFixed(1),
    slices.length === 0 ? '-' : `${slices[0]}-${slices.at(-1)}`,
    `${nodule.equivalentDiameterMm.toFixed(1)} mm`,
    `${nodule.axialDiameterMm.toFixed(1)} mm`,
    `${nodule.maskVolumeMm3.toFixed(0)} mm3`,
    nodule.malignancy === undefined
      ? '-'
      : `${nodule.malignancy.toFixed(2)} ${ratingMeaning('malignancy', nodule.malignancy)}`,
  ]
}

/** The run as JSON: everything that the table shows, and each reader's ratings, measures and contours. */
export function annotationJson(run: AnnotatedFolders): unknown {
  return {
    format: 'nodule-annotations/2',
    series: run.annotated.map(({ series, reading, placed, nodules }) => ({
      patientId: series.patientId,
      studyInstanceUid: series.studyInstanceUid,
      seriesInstanceUid: series.seriesInstanceUid,
      folder: series.folder,
      xml: reading.path,
      slices: series.slices.length,
      sessions: reading.sessions.map(({ readerId }) => ({ readerId })),
      rois: { placedByUid: placed.placedByUid, placedByZ: placed.placedByZ, unplaced: placed.unplaced },
      warnings: [...reading.warnings, ...placed.warnings],
      nodules: nodules.map((nodule) => noduleJson(nodule, series.slices)),
      smallNodules: placed.smallNodules,
      nonNodules: placed.nonNodules,
    })),
  }
}

function noduleJson(nodule: ConsensusNodule, slices: readonly { sopInstanceUid: string }[]): unknown {
  const { marks, markMeasures, mask, boxes, ratings, ...rest } = nodule
  return {
    ...rest,
    extent: { first: [mask.k0, mask.j0, mask.i0], shape: mask.shape },
    ratings:
      ratings === undefined
        ? undefined
        : Object.fromEntries(
            RATING_NAMES.map((name) => [
              name,
              { ...ratings[name], meaning: ratingMeaning(name, ratings[name].mean) },
            ]),
          ),
    boxes: boxes.map(({ k, box }) => ({ k, sopInstanceUid: slices[k]!.sopInstanceUid, ...box })),
    marks: marks.map((mark, index) => ({
      noduleId: mark.noduleId,
      session: mark.session,
      readerId: mark.readerId,
      ratings: mark.ratings,
      measures: markMeasures[index],
      contours: mark.contours.map(({ points, ...contour }) => ({
        ...contour,
        points: points.map(({ x, y }) => [x, y]),
      })),
    })),
  }
}
