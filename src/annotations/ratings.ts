import type { RatingName } from './types.js'

/** What each rating means, from 1 on; LIDC's documents, with lobulation and spiculation from none to marked. */
const MEANINGS: Record<RatingName, readonly string[]> = {
  subtlety: ['Extremely Subtle', 'Moderately Subtle', 'Fairly Subtle', 'Moderately Obvious', 'Obvious'],
  internalStructure: ['Soft Tissue', 'Fluid', 'Fat', 'Air'],
  calcification: ['Popcorn', 'Laminated', 'Solid', 'Non-central', 'Central', 'Absent'],
  sphericity: ['Linear', 'Ovoid/Linear', 'Ovoid', 'Ovoid/Round', 'Round'],
  margin: ['Poorly Defined', 'Near Poorly Defined', 'Medium Margin', 'Near Sharp', 'Sharp'],
  lobulation: [
    'No Lobulation',
    'Nearly No Lobulation',
    'Medium Lobulation',
    'Near Marked Lobulation',
    'Marked Lobulation',
  ],
  spiculation: [
    'No Spiculation',
    'Nearly No Spiculation',
    'Medium Spiculation',
    'Near Marked Spiculation',
    'Marked Spiculation',
  ],
  texture: ['Non-Solid/GGO', 'Non-Solid/Mixed', 'Part Solid/Mixed', 'Solid/Mixed', 'Solid'],
  malignancy: [
    'Highly Unlikely',
    'Moderately Unlikely',
    'Indeterminate',
    'Moderately Suspicious',
    'Highly Suspicious',
  ],
}

/** The types of nodules by their texture. */
export const TEXTURE_TYPES = ['ground glass', 'part-solid', 'solid'] as const

export type TextureType = (typeof TEXTURE_TYPES)[number]

/**
 * The type that a texture rating (1 to 5, or a mean of readers) stands for, rounded as `ratingMeaning` rounds it:
 * 1 and 2 (Non-Solid) ground glass, 3 part-solid, 4 and 5 (Solid) solid. Below 2.5, below 3.5, from 3.5 on.
 */
export function textureType(texture: number): TextureType {
  const rating = Math.round(texture)
  return rating <= 2 ? 'ground glass' : rating === 3 ? 'part-solid' : 'solid'
}

/** What a rating means in words; "beyond the scale" for values that have no meaning. */
export function ratingMeaning(name: RatingName, value: number): string {
  return MEANINGS[name][Math.round(value) - 1] ?? 'beyond the scale'
}
