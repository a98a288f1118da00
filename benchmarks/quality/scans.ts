import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findSeries } from '../../src/dicom/index.js'
import type { Series } from '../../src/dicom/index.js'
import { readReferences } from '../../src/evaluation/index.js'
import type { Finding } from '../../src/formats/index.js'
import type { Vector3 } from '../../src/geometry/vector.js'
import { detectVolume } from '../../src/inference/index.js'
import type { DetectedNodule } from '../../src/inference/index.js'
import { loadVolume } from '../../src/volume/index.js'
import { best, defaultParameters, hits, parametersOf } from './marks.js'
import type { Judged } from './marks.js'
import type { ScanOutcome } from './outcomes.js'

/** A whole scan with what is known of it. */
export interface KnownScan {
  series: Series
  findings: Place[]
}

type Place = Pick<Finding, 'id' | 'x' | 'y' | 'z' | 'excluded'> & { diameterMm: number }

/** The CT volumes in some folders, with the readers' findings and the lesions of lesions.json. */
export async function knownScans(folders: readonly string[]): Promise<KnownScan[]> {
  const { scans: references } = await readReferences(folders)
  const { lesions } = JSON.parse(readFileSync(join(import.meta.dirname, 'lesions.json'), 'utf8')) as {
    lesions: { seriesUid: string; center: Vector3; diameterMm: number }[]
  }
  const found = await findSeries([...folders])
  return found.series
    .filter((series) => series.modality === 'CT' && series.isVolume)
    .map((series) => {
      const uid = series.seriesInstanceUid
      const read = references.find((reference) => reference.series.seriesInstanceUid === uid)?.findings ?? []
      const findings: Place[] = [
        ...read.map(({ equivalentDiameterMm, ...finding }) => ({
          ...finding,
          diameterMm: equivalentDiameterMm,
        })),
        ...lesions
          .filter((lesion) => lesion.seriesUid === uid)
          .map(({ center: [x, y, z], diameterMm }) => ({
            id: 'lesion',
            x,
            y,
            z,
            diameterMm,
            excluded: false,
          })),
      ]
      return { series, findings }
    })
}

/** False marks of a scan, and the best mark on each of its nodules. */
export async function judgeScan(judged: Judged, { series, findings }: KnownScan): Promise<ScanOutcome> {
  const started = performance.now()
  const volume = await loadVolume(series)
  const { nodules } = await detectVolume(volume, judged.session, {
    parameters: parametersOf(judged, 'lungs'),
  })
  const seconds = (performance.now() - started) / 1000
  // Not those of the above from the default confidence on: detection leaves out marks that the first stage doubts, and
  // what one view of a cube leaves no hope for.
  const listed = await detectVolume(volume, judged.session, { parameters: defaultParameters(judged.session) })
  const on = (mark: DetectedNodule): boolean =>
    findings.some(({ x, y, z, diameterMm }) => hits(mark.center, [x, y, z], diameterMm))
  const falseMarks = nodules
    .filter((mark) => !on(mark))
    .map(({ confidence, center, boxDiameterMm }) => ({
      score: confidence,
      center,
      diameterMm: boxDiameterMm,
    }))
  return {
    patientId: series.patientId,
    seriesUid: series.seriesInstanceUid,
    falseMarks,
    falseMarksAtDefault: listed.nodules.filter((mark) => !on(mark)).length,
    nodules: findings
      .filter(({ excluded }) => !excluded)
      .map(({ id, x, y, z, diameterMm }) => {
        const score =
          best(nodules.filter((mark) => hits(mark.center, [x, y, z], diameterMm)))?.confidence ?? 0
        const falseMarksAbove = falseMarks.filter((mark) => mark.score >= score).length
        return { id, diameterMm, score, falseMarksAbove }
      }),
    seconds,
  }
}
