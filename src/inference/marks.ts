import type { Mark } from '../formats/luna.js'
import type { SeriesDetections } from './detections.js'

/** The marks of detections: the id is the series and the nodule's number in it. */
export function detectionMarks(
  detections: readonly Pick<SeriesDetections, 'seriesInstanceUid' | 'nodules'>[],
): Mark[] {
  return detections.flatMap((detection) =>
    detection.nodules.map((nodule) => ({
      seriesUid: detection.seriesInstanceUid,
      id: `${detection.seriesInstanceUid} ${nodule.id}`,
      x: nodule.center[0],
      y: nodule.center[1],
      z: nodule.center[2],
      probability: nodule.confidence,
      measuredDiameterMm: nodule.boxDiameterMm,
    })),
  )
}
