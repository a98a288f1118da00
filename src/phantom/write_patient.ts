import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { writeLidcXml, type SessionToWrite } from '../annotations/writer.js'
import { writeSlice } from '../dicom/write/writer.js'
import { NoduleError, fileError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import { voxelToPatient } from '../geometry/patient.js'
import { checkShape, parseJson } from '../json.js'
import type { Shape } from '../json.js'
import { createRandom } from '../random.js'
import { readRegular } from '../read_files.js'
import { count } from '../words.js'
import type { PhantomPatient } from './patient.js'
import type { ReaderMark } from './readers.js'
import type { PhantomTruth } from './truth.js'
import { makeUid } from './uid.js'

const TRUTH = 'truth.json'

export interface WrittenPatient {
  patientId: string
  seriesInstanceUid: string
  /** Folder of the DICOM files and the XML. */
  folder: string
  xmlPath: string
  truthPath: string
  nodules: number
}

/**
 * Writes a synthetic patient as TCIA lays LIDC-IDRI out: DIR/PATIENT/STUDY/SERIES/000001.dcm ..., file names not in
 * the order of the slices, with the readers' XML beside the images, and the truth as DIR/PATIENT/truth.json.
 *
 * @throws NoduleError FILE, also where DIR/PATIENT holds another phantom
 */
export async function writePatient(dir: string, patient: PhantomPatient): Promise<WrittenPatient> {
  const { volume, truth, studyInstanceUid } = patient
  const { geometry, shape, seriesInstanceUid, patientId } = volume
  const [slices, rows, columns] = shape
  await refuseOther(join(dir, patientId), truth)
  const folder = join(dir, patientId, studyInstanceUid, seriesInstanceUid)
  const random = createRandom(truth.seed).fork('files')
  const frameOfReferenceUid = makeUid(random)
  const names = Array.from({ length: slices }, (_, k) => k + 1)
  for (let n = slices - 1; n > 0; n--) {
    const other = random.integer(n + 1)
    const kept = names[n]!
    names[n] = names[other]!
    names[other] = kept
  }
  const { scanner } = patient
  const pixels = scanner.unsigned ? new Uint16Array(rows * columns) : new Int16Array(rows * columns)
  const outside = outsideCircle(rows, geometry.spacing[2], patient.reconstructionDiameter)
  for (let k = 0; k < slices; k++) {
    const hu = volume.data.subarray(k * pixels.length, (k + 1) * pixels.length)
    for (let n = 0; n < pixels.length; n++)
      pixels[n] =
        outside[n] === 1 && scanner.padding !== undefined ? scanner.padding : hu[n]! - scanner.intercept
    await writeSlice(join(folder, `${String(names[k]).padStart(6, '0')}.dcm`), {
      patientId,
      studyInstanceUid,
      seriesInstanceUid,
      sopInstanceUid: volume.sopInstanceUids[k]!,
      frameOfReferenceUid,
      // Scanners count from the head down here: z falls as the number rises.
      instanceNumber: slices - k,
      rows,
      columns,
      pixels,
      imagePosition: voxelToPatient(geometry, k, 0, 0),
      rowDirection: geometry.rowDirection,
      columnDirection: geometry.columnDirection,
      pixelSpacing: [geometry.spacing[1], geometry.spacing[2]],
      sliceThickness: patient.sliceThickness,
      rescaleIntercept: scanner.intercept,
      rescaleSlope: 1,
      ...(scanner.padding === undefined ? {} : { padding: scanner.padding }),
      bitsStored: scanner.unsigned ? 12 : 16,
      manufacturer: 'NODULE PHANTOM',
      model: `Synthetic chest CT, ${scanner.like}-like`,
      kernel: scanner.kernel,
      kvp: 120,
      tubeCurrent: Math.round(400 * (12 / Math.max(4, truth.noiseHu)) ** 2),
      reconstructionDiameter: patient.reconstructionDiameter,
      ...(patient.contrast ? { contrastAgent: 'IV' } : {}),
    })
  }
  const xmlPath = join(folder, `${patientId}.xml`)
  await writeLidcXml(xmlPath, {
    studyInstanceUid,
    seriesInstanceUid,
    sessions: patient.readers.map((marks, n) => session(patient, marks, n)),
  })
  const truthPath = join(dir, patientId, TRUTH)
  await writeFileAtomic(truthPath, `${JSON.stringify(truth, undefined, 1)}\n`)
  return { patientId, seriesInstanceUid, folder, xmlPath, truthPath, nodules: truth.nodules.length }
}

/**
 * Two phantoms under one patient would be taken for two scans of it, and the truth of one would be lost; the same one may
 * be made again. Throws NoduleError (FILE, FORMAT).
 */
async function refuseOther(folder: string, truth: PhantomTruth): Promise<void> {
  const refuse = (actual: string): never => {
    throw new NoduleError('FILE', 'the folder holds another phantom', {
      ...{ path: folder, expected: describe(truth), actual },
      remedies: ['write into another folder, or delete this one'],
    })
  }
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw fileError(folder, 'write the phantom', error)
  })
  // The truth is written last: of one that was interrupted, the study tells.
  const study = entries.find((entry) => entry.isDirectory() && entry.name !== truth.studyInstanceUid)
  if (entries.some(({ name }) => name === TRUTH)) {
    const path = join(folder, TRUTH)
    const there = parseJson((await readRegular(path)).toString('utf8'), path)
    checkShape(there, TOLD, path, "not a phantom's truth, as this version writes it")
    const actual = describe(there as Told)
    if (actual !== describe(truth)) refuse(actual)
  } else if (study !== undefined) refuse(`study ${study.name}`)
}

const TOLD: Shape = {
  seriesInstanceUid: 'text',
  seed: 'number',
  shape: ['number', 3],
  spacing: ['number', 3],
  kernel: 'text',
  noiseHu: 'number',
  nodules: [{}],
}
type Told = Pick<
  PhantomTruth,
  'seriesInstanceUid' | 'seed' | 'shape' | 'spacing' | 'kernel' | 'noiseHu' | 'nodules'
>

/** What tells phantoms apart: those of one seed share their UIDs where they have as many slices. */
function describe({ seriesInstanceUid, seed, shape, spacing, kernel, noiseHu, nodules }: Told): string {
  return [
    `series ${seriesInstanceUid} of seed ${seed}`,
    `${shape.join(' x ')} voxels`,
    `${spacing.map((mm) => mm.toFixed(3)).join(' x ')} mm`,
    `kernel ${kernel}`,
    `noise ${noiseHu.toFixed(3)} HU`,
    count(nodules.length, 'nodule'),
  ].join(', ')
}

/** 1 where a pixel lies outside the reconstructed circle. */
function outsideCircle(size: number, pixel: number, diameter: number): Uint8Array {
  const outside = new Uint8Array(size * size)
  const limit = (diameter / 2 / pixel) ** 2
  const center = (size - 1) / 2
  for (let j = 0; j < size; j++)
    for (let i = 0; i < size; i++)
      if ((i - center) ** 2 + (j - center) ** 2 > limit) outside[j * size + i] = 1
  return outside
}

function session(patient: PhantomPatient, marks: readonly ReaderMark[], reader: number): SessionToWrite {
  const { volume } = patient
  const zOf = (k: number): number => voxelToPatient(volume.geometry, k, 0, 0)[2]
  const points = (kind: 'small' | 'nonNodule'): SessionToWrite['smallNodules'] =>
    marks.flatMap((mark) =>
      mark.kind === kind
        ? [
            {
              id: mark.id,
              sopInstanceUid: volume.sopInstanceUids[mark.k]!,
              z: zOf(mark.k),
              x: mark.x,
              y: mark.y,
            },
          ]
        : [],
    )
  return {
    readerId: `phantom-reader-${reader + 1}`,
    nodules: marks.flatMap((mark) =>
      mark.kind === 'nodule'
        ? [
            {
              id: mark.id,
              ratings: { ...mark.ratings },
              contours: mark.contours.map(({ k, points }) => ({
                sopInstanceUid: volume.sopInstanceUids[k]!,
                z: zOf(k),
                inclusion: true,
                points,
              })),
            },
          ]
        : [],
    ),
    smallNodules: points('small'),
    nonNodules: points('nonNodule'),
  }
}
