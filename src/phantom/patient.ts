import type { VolumeGeometry } from '../geometry/patient.js'
import { createRandom } from '../random.js'
import type { HuVolume } from '../volume/index.js'
import { makeAnatomy } from './anatomy.js'
import { measureNodule, placeDots, placeNodules } from './nodules.js'
import { noiseTile } from './noise.js'
import { checkOptions, type PhantomOptions } from './options.js'
import { drawReaders, readScan, type ReaderMark } from './readers.js'
import { drawPathology } from './pathology.js'
import { finishSlice, noiseOfMeans } from './finish.js'
import { drawScanner, scanners, type Scanner } from './scanner.js'
import { makeWorkspace, type Scene } from './scene.js'
import { paintSlice } from './slice.js'
import { growTrees } from './tree.js'
import { makeTruth, tellSeen, type PhantomTruth } from './truth.js'
import { makeUid } from './uid.js'
import { eyePixels, neededContrast, NoduleSights } from './visibility.js'

export interface PhantomPatient {
  volume: HuVolume
  /** Lungs as they were drawn, vessels and nodules included, without the trachea: [z, y, x], 1 inside. */
  lungs: Uint8Array
  truth: PhantomTruth
  /** What four readers marked. */
  readers: ReaderMark[][]
  studyInstanceUid: string
  sliceThickness: number
  /** Diameter of the reconstructed circle, mm: pixels beyond it are padding in the files, -1000 HU in `volume`. */
  reconstructionDiameter: number
  contrast: boolean
  scanner: Scanner
}

/**
 * Makes a synthetic chest CT with nodules. The same options give the same patient, bit for bit.
 *
 * @throws NoduleError INVALID_PARAMETER
 */
export function makePatient(options: PhantomOptions = {}): PhantomPatient {
  const o = checkOptions(options)
  const random = createRandom(o.seed)
  const choice = random.fork('choices')
  const contrast = o.contrast ?? choice.uniform() < 0.5
  const chosen = drawScanner(random.fork('scanner'), o.hard)
  const scanner = o.kernel === undefined ? chosen : scanners.find((one) => one.kernel === o.kernel)!
  // Thin slices collect fewer photons; scanners make up for half of that.
  const dose = (o.hard ? 16 + 18 * choice.uniform() : 9 + 13 * choice.uniform()) * scanner.gain
  const sigma = o.noise ?? Math.min(90, dose * (2.5 / o.thickness) ** 0.25)
  const wanted = o.nodules[0] + choice.integer(o.nodules[1] - o.nodules[0] + 1)
  const anatomy = makeAnatomy(random.fork('anatomy'), contrast)
  const trees = growTrees(anatomy, random.fork('trees'))

  const field = Math.min(500, Math.max(300, 2.06 * anatomy.section(110).bodyWidth + 6))
  const pixel = Number((field / o.matrix).toFixed(6))
  const margin = 14
  const slices = o.slices ?? Math.ceil((anatomy.top + 2 * margin) / o.spacing)
  const bottom = anatomy.top / 2 - ((slices - 1) / 2) * o.spacing
  const zRange = [bottom, bottom + (slices - 1) * o.spacing] as const
  const half = ((o.matrix - 1) / 2) * pixel
  const x0 = -half
  const y0 = 12 * anatomy.scale[1] - half

  const nodules = placeNodules(anatomy, trees, random.fork('nodules'), {
    count: wanted,
    diameter: o.diameter,
    zRange,
    hard: o.hard,
  })
  const dots = placeDots(anatomy, random.fork('dots'), choice.integer(4), nodules, zRange)
  const pathology = drawPathology(anatomy, random.fork('pathology'), o.hard, zRange, [...nodules, ...dots])
  const tiles = random.fork('noise')
  const scene: Scene = {
    anatomy,
    trees,
    nodules: [...nodules, ...dots],
    pathology,
    scanner,
    thickness: o.thickness,
    noise: [noiseTile(tiles, scanner.grain / pixel), noiseTile(tiles, (1.6 * scanner.grain) / pixel)],
    sigma,
    radius: field / 2,
  }

  // Scanner coordinates: the couch decides where the patient lies.
  const shift = [0, Math.round(choice.normal() * 100) / 10, Math.round(-220 + 60 * choice.normal())] as const
  const geometry: VolumeGeometry = {
    origin: [x0 + shift[0], y0 + shift[1], bottom + shift[2]],
    rowDirection: [1, 0, 0],
    columnDirection: [0, 1, 0],
    sliceDirection: [0, 0, 1],
    spacing: [o.spacing, pixel, pixel],
    slicePositions: Array.from({ length: slices }, (_, k) => k * o.spacing),
  }
  const uids = random.fork('uids')
  const studyInstanceUid = makeUid(uids)
  const volume: HuVolume = {
    data: new Int16Array(slices * o.matrix * o.matrix),
    shape: [slices, o.matrix, o.matrix],
    geometry,
    sopInstanceUids: Array.from({ length: slices }, () => makeUid(uids)),
    seriesInstanceUid: makeUid(uids),
    patientId: o.patientId,
  }

  const twigs = trees.vessels.filter((c) => c.ra > 1.3 && c.az > zRange[0] && c.az < zRange[1])
  const nonNodules = Array.from({ length: twigs.length > 0 ? choice.integer(4) : 0 }, () => {
    const twig = twigs[choice.integer(twigs.length)]!
    return [twig.ax, twig.ay, twig.az] as const
  })
  const readers = drawReaders(random.fork('readers'), nodules, dots, nonNodules, pixel)
  const truth = makeTruth({
    volume,
    studyInstanceUid,
    seed: o.seed,
    contrast,
    sigma,
    scanner,
    pathology,
    shift,
    nodules: nodules.map((shape) => ({ shape, measures: measureNodule(anatomy, shape) })),
    dots,
  })
  const lungs = new Uint8Array(volume.data.length)
  const plane = o.matrix * o.matrix
  const work = makeWorkspace(o.matrix, pixel, x0, y0, scanner.edge)
  const shifts = random.fork('noise shifts')
  const sights = new NoduleSights()
  const noiseAt = noiseOfMeans(scene, eyePixels(pixel))
  for (let k = 0; k < slices; k++) {
    const z = bottom + k * o.spacing
    sights.add(k, paintSlice(scene, work, z), neededContrast(noiseAt(z)))
    const out = volume.data.subarray(k * plane, (k + 1) * plane)
    finishSlice(scene, work, z, [shifts.integer(512), shifts.integer(512), shifts.integer(512)], out)
    for (let p = 0; p < plane; p++) if (work.lung[p]! > 0) lungs[k * plane + p] = 1
  }
  readScan(readers, sights, { x0, y0, z0: bottom, pixel, spacing: o.spacing, size: o.matrix, slices })
  const marks = readers.map((reader) => reader.marks)
  tellSeen(truth, nodules, sights, marks)
  let count = 0
  for (const value of lungs) count += value
  truth.lungsMl = (count * o.spacing * pixel * pixel) / 1000
  return {
    volume,
    lungs,
    truth,
    readers: marks,
    studyInstanceUid,
    sliceThickness: o.thickness,
    reconstructionDiameter: field,
    contrast,
    scanner,
  }
}
