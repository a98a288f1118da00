import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { checkObject, checkText } from '../check.js'
import { fileError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import { defaultConfidences } from './detect_volume.js'
import { brief } from './detections.js'
import type { DetectedNodule, SeriesDetections } from './detections.js'

/** As Slicer writes it itself: its name, though the branch is called otherwise by now. It says what the keys mean. */
const SCHEMA =
  'https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#'

/** Along the axes of Slicer, whose space is RAS, as it writes it in LPS itself. */
const ORIENTATION = [-1, 0, 0, 0, -1, 0, 0, 0, 1]

/** As on the pictures: listed nodules yellow, others blue. */
const DISPLAY = {
  visibility: true,
  selectedColor: [1, 0.824, 0.122],
  color: [0.31, 0.765, 0.969],
  pointLabelsVisibility: true,
  propertiesLabelVisibility: false,
}

/** The file of markups of a result's file. */
export function markupsPath(resultPath: string): string {
  return resultPath.replace(/(\.json)?$/, '.mrk.json')
}

/** Whether a file is called as markups are: it lies among results, and ends like one. */
export function isMarkups(path: string): boolean {
  return path.endsWith('.mrk.json')
}

/**
 * Writes the nodules of a result as markups for 3D Slicer, whole or not at all: a list of points in patient mm (LPS),
 * in their order, called "#01 0.93" (number and confidence); none where there are no nodules.
 * @param resultPath the result's own file, UID.json: the markups lie beside it as UID.mrk.json
 * @returns the path of the markups
 * @throws NoduleError (FILE)
 */
export async function writeMarkups(
  resultPath: string,
  detections: Pick<SeriesDetections, 'nodules' | 'second'>,
): Promise<string> {
  checkText('resultPath', resultPath)
  const { nodules } = checkObject('detections', detections)
  const path = markupsPath(resultPath)
  const digits = String(nodules.length).length
  const usual = defaultConfidences(detections).minConfidence
  const controlPoints = nodules.map((nodule) => controlPoint(nodule, digits, usual))
  const markups = [{ type: 'Fiducial', coordinateSystem: 'LPS', controlPoints, display: DISPLAY }]
  await writeFileAtomic(path, `${JSON.stringify({ '@schema': SCHEMA, markups }, brief, 2)}\n`)
  return path
}

function controlPoint(
  { id, confidence, center, boxDiameterMm }: DetectedNodule,
  digits: number,
  usual: number,
): object {
  return {
    id: String(id),
    label: `#${String(id).padStart(digits, '0')} ${confidence.toFixed(2)}`,
    description: `box diameter ${boxDiameterMm.toFixed(1)} mm`,
    position: center,
    orientation: ORIENTATION,
    // Slicer has two colors a list: for what is selected, and what is not.
    selected: confidence >= usual,
    locked: false,
    visibility: true,
    positionStatus: 'defined',
  }
}

/** The markups of a result that is kept: those that are there may have been worked on in Slicer, and stay. */
export async function keepMarkups(resultPath: string, detections: SeriesDetections): Promise<string> {
  const path = markupsPath(resultPath)
  return existsSync(path) ? path : writeMarkups(resultPath, detections)
}

/** Removes the markups of an earlier run: they show other nodules than the new result. Throws NoduleError (FILE). */
export async function removeMarkups(resultPath: string): Promise<void> {
  const path = markupsPath(resultPath)
  await rm(path, { force: true }).catch((error: unknown) => {
    throw fileError(path, 'remove', error)
  })
}
