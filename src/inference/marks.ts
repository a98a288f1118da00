import type { Mark } from '../formats/luna.js'
import type { SeriesDetections } from './detections.js'
import { scanKey } from '../scans/scan_keys.js'

/**
 * The marks of detections: the id is the series and the nodule's number in it.
 * @param shared series UIDs of several patients: marks of these are under `scanKey`
 */
export function detectionMarks(
  detections: readonly Pick<SeriesDetections, 'patientId' | 'seriesInstanceUid' | 'nodules'>[],
  shared: ReadonlySet<string> = new Set(),
): Mark[] {
  return detections.flatMap((detection) => {
    const key = scanKey(detection, shared)
    return detection.nodules.map((nodule) => ({
      seriesUid: key,
      id: `${key} ${nodule.id}`,
      x: nodule.center[0],
      y: nodule.center[1],
      z: nodule.center[2],
      probability: nodule.confidence,
      measuredDiameterMm: nodule.boxDiameterMm,
    }))
  })
}
