import type { Series } from '../dicom/index.js'

/**
 * Why a series is no CT volume of axial slices, in which lungs and nodules can be looked for; undefined where it is one.
 * `kind` says what is in the way; `reason` says it to people.
 */
export function ctObstacle(
  series: Pick<Series, 'modality' | 'problems' | 'isVolume'>,
): { kind: 'modality' | 'not-axial' | 'no-volume'; reason: string } | undefined {
  const { modality, problems, isVolume } = series
  if (modality !== 'CT')
    return { kind: 'modality', reason: `${modality === '' ? 'no modality' : modality}, not CT` }
  const tilted = problems.find(({ kind }) => kind === 'not-axial')
  if (tilted !== undefined)
    return { kind: 'not-axial', reason: `${tilted.message}: nodules are looked for in axial slices` }
  if (isVolume) return undefined
  return { kind: 'no-volume', reason: problems.map(({ message }) => message).join('; ') || 'no volume' }
}
