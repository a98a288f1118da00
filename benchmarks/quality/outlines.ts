// What readers outlined of nodules, for programs that compare readers on patients and on phantoms.
import type { PlacedMark } from '../../src/annotations/index.js'
import { makePatient, type PhantomPatient } from '../../src/phantom/index.js'

/** Hard phantoms of one seed each. */
export function* hardPhantoms(
  count: number,
  first: number,
  options: { spacing?: number; nodules?: number } = {},
): Generator<PhantomPatient> {
  for (let seed = first; seed < first + count; seed++) yield makePatient({ seed, hard: true, ...options })
}

/** The outlines of a phantom's readers, those of each nodule together. */
export function outlinesOf({ readers }: PhantomPatient): PlacedMark[][] {
  const groups = new Map<string, PlacedMark[]>()
  for (const [session, marks] of readers.entries())
    for (const mark of marks) {
      if (mark.kind !== 'nodule') continue
      const contours = mark.contours.map(({ k, points }) => ({
        ...{ k, points, sopInstanceUid: '', z: k, inclusion: true },
      }))
      const group = groups.get(mark.id) ?? []
      groups.set(mark.id, [...group, { noduleId: mark.id, session, readerId: `${session}`, contours }])
    }
  return [...groups.values()]
}
