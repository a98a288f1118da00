import { invalidParameter } from '../../check.js'
import type { FrameList, ListEntry } from '../../dataset/list.js'
import { NoduleError } from '../../errors.js'
import type { ImagePair } from './pairs.js'

/** What a bootstrap of slices draws. Slices of one patient are alike: an interval over images is too narrow. */
export const DRAWN = ['patient', 'image'] as const

export interface Draw {
  by: (typeof DRAWN)[number]
  /** Patients or images, and those of them that have true boxes. */
  count: number
  withTruth: number
  /** Images whose patient neither the list nor a name tells; above 0 images are drawn. */
  unknown: number
}

/**
 * The patient of an image: as the list says (`nodule.patientId`), else as its path tells: an id of LIDC-IDRI, a name
 * as `nodule prepare` gives it (PATIENT_SERIES_0012.png), or the series' UID, which stands for the patient.
 */
export function patientOf({ nodule, image_path: path }: ListEntry): string | undefined {
  const said: unknown = nodule?.patientId
  if (typeof said === 'string' && said !== '') return said
  const lidc = /LIDC-IDRI-\d{4}/i.exec(path)?.[0]
  if (lidc !== undefined) return lidc.toUpperCase()
  const [, prepared, uid] = /(?:(?<![^/\\])([^/\\]+)_)?(?<![\d.])([012](?:\.\d+){6,})/.exec(path) ?? []
  return prepared ?? uid
}

/**
 * What to draw, and the patient (or image) of each image. Without `by`: patients where all images tell theirs, else
 * images. Throws NoduleError (INVALID_PARAMETER, FORMAT) where patients are asked for that are unknown.
 */
export function chooseDraw(
  truth: Pick<FrameList, 'path' | 'entries'>,
  images: readonly ImagePair[],
  by?: Draw['by'],
): { draw: Draw; groupOf: (image: ImagePair) => string } {
  if (by !== undefined && !DRAWN.includes(by)) throw invalidParameter('by', `one of ${DRAWN.join(', ')}`, by)
  const patient = (image: ImagePair): string | undefined => patientOf(truth.entries[image.index]!)
  const strangers = images.filter((image) => patient(image) === undefined)
  if (by === 'patient' && strangers.length > 0)
    throw new NoduleError('FORMAT', 'cannot draw patients: not every image tells its patient', {
      path: truth.path,
      place: `/${strangers[0]!.index}/image_path`,
      expected: 'nodule.patientId, or a path with LIDC-IDRI-0001 or a series UID',
      actual: `${strangers[0]!.image}, and ${strangers.length - 1} more`,
    })
  const chosen = by ?? (strangers.length > 0 ? 'image' : 'patient')
  const groupOf = (image: ImagePair): string => (chosen === 'patient' ? patient(image)! : `${image.index}`)
  const count = (some: readonly ImagePair[]): number => new Set(some.map(groupOf)).size
  const withTruth = count(images.filter((image) => image.truth.length > 0))
  return { draw: { by: chosen, count: count(images), withTruth, unknown: strangers.length }, groupOf }
}
