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

/** What a rating means in words; "beyond the scale" for values that have no meaning. */
export function ratingMeaning(name: RatingName, value: number): string {
  return MEANINGS[name][Math.round(value) - 1] ?? 'beyond the scale'
}
