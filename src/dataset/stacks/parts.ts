import { createHash } from 'node:crypto'

/** Parts of the patients of the nodule stacks: "test" judges, "val" chooses, "train" teaches. */
export type Part = 'train' | 'val' | 'test'

/**
 * The part of each patient: in the order of the SHA-256 of their ids the first fifth is "test", the next tenth "val".
 * No part depends on what was found in the images.
 */
export function partsOf(patientIds: Iterable<string>): Map<string, Part> {
  const hash = (id: string): string => createHash('sha256').update(id).digest('hex')
  const ordered = [...new Set(patientIds)].sort((a, b) => (hash(a) < hash(b) ? -1 : 1))
  const [test, val] = [0.2, 0.3].map((share) => Math.round(share * ordered.length)) as [number, number]
  return new Map(ordered.map((id, n): [string, Part] => [id, n < test ? 'test' : n < val ? 'val' : 'train']))
}
