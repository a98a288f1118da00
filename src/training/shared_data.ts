/** What a test shares with the training: its figures then do not tell how the model does on what it has not seen. */
import { realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { imageFile, scanOrigin } from '../dataset/list.js'
import type { FrameList } from '../dataset/list.js'
import type { CubeStore } from '../patches/store.js'
import { count } from '../words.js'

type Warn = ((warning: string) => void) | undefined

/** Tells of images of a test list that are trained on, by their real paths, and of patients, where the lists name them. */
export function tellSharedFrames(train: FrameList, test: FrameList, onWarning: Warn): void {
  if (onWarning === undefined) return
  tell(test.path, onWarning, [
    ['image', imagesOf(test), imagesOf(train)],
    ['patient', patientsOf(test), patientsOf(train)],
  ])
}

/** The same of cubes: volumes by their keys. */
export function tellSharedCubes(train: CubeStore, test: CubeStore, onWarning: Warn): void {
  if (onWarning === undefined) return
  const volumes = ({ sources }: CubeStore): Set<string> => new Set(sources.map(({ key }) => key))
  const patients = ({ sources }: CubeStore): Set<string> => new Set(sources.flatMap(identityOf))
  tell(test.folder, onWarning, [
    ['volume', volumes(test), volumes(train)],
    ['patient', patients(test), patients(train)],
  ])
}

function tell(
  path: string,
  onWarning: (warning: string) => void,
  kinds: readonly (readonly [noun: string, test: ReadonlySet<string>, train: ReadonlySet<string>])[],
): void {
  const told = kinds.flatMap(([noun, test, train]) => {
    const shared = [...test].filter((name) => train.has(name))
    const [first] = shared
    if (first === undefined) return []
    const example = shared.length > 1 ? `such as ${first}` : first
    return [`${shared.length} of ${count(test.size, noun)} (${example})`]
  })
  if (told.length === 0) return
  onWarning(
    `${path}: the test shares ${told.join(' and ')} with the training: it does not tell how the model does on others`,
  )
}

/** Where links lead to: a folder by two names holds the same images. */
function imagesOf(list: FrameList): Set<string> {
  const folders = new Map<string, string>()
  const real = (folder: string): string => {
    const known = folders.get(folder)
    if (known !== undefined) return known
    let found = folder
    try {
      found = realpathSync(folder)
    } catch {
      // What is not there is told where it is read.
    }
    folders.set(folder, found)
    return found
  }
  return new Set(
    list.entries.map((entry) => {
      const file = resolve(imageFile(list, entry))
      return join(real(dirname(file)), basename(file))
    }),
  )
}

/** The patients of a list, and those whose nodules were put into them. */
function patientsOf({ entries }: FrameList): Set<string> {
  return new Set(
    entries.flatMap(({ nodule }) => {
      if (nodule === undefined) return []
      const donors = (nodule.measures ?? []).map(({ donorPatientId }) => ({ patientId: donorPatientId }))
      return [nodule, ...donors].flatMap(identityOf)
    }),
  )
}

/** Phantoms are numbered from 1 in each folder: their series tell them apart. */
function identityOf(of: { patientId?: unknown; seriesInstanceUid?: unknown }): string[] {
  const { patientId: patient, seriesInstanceUid: series } = of
  if (typeof patient !== 'string' || patient === '') return []
  return [scanOrigin(patient) === 'phantom' && typeof series === 'string' ? `${patient} ${series}` : patient]
}
