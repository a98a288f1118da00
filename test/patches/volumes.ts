import type { VolumeGeometry } from '../../src/geometry/patient.js'
import { createRandom } from '../../src/random.js'
import type { HuVolume } from '../../src/volume/index.js'

/** A volume of the given voxels; slices at `positions` (mm), pixels of `pixelMm` [y, x]. */
export function volumeOf(
  shape: readonly [number, number, number],
  positions: readonly number[],
  pixelMm: readonly [number, number],
  hu: (k: number, j: number, i: number) => number,
): HuVolume {
  const [slices, rows, columns] = shape
  const data = new Int16Array(slices * rows * columns)
  for (let k = 0, n = 0; k < slices; k++)
    for (let j = 0; j < rows; j++) for (let i = 0; i < columns; i++) data[n++] = hu(k, j, i)
  const steps = positions.slice(1).map((position, n) => position - positions[n]!)
  const spacing = steps.length === 0 ? 2 : [...steps].sort((a, b) => a - b)[steps.length >> 1]!
  const geometry: VolumeGeometry = {
    origin: [-50, 20, 7],
    rowDirection: [1, 0, 0],
    columnDirection: [0, 1, 0],
    sliceDirection: [0, 0, 1],
    spacing: [spacing, ...pixelMm],
    slicePositions: positions,
  }
  return {
    data,
    shape,
    geometry,
    sopInstanceUids: positions.map((_, k) => `1.2.${k}`),
    seriesInstanceUid: '1.2.3',
    patientId: 'P',
  }
}

/** A volume of random size, spacing and voxels. */
export function randomVolume(seed: number): HuVolume {
  const random = createRandom(seed)
  const shape = [1 + random.integer(7), 2 + random.integer(30), 2 + random.integer(30)] as const
  const positions = [0]
  while (positions.length < shape[0]) positions.push(positions.at(-1)! + 0.5 + 3 * random.uniform())
  return volumeOf(
    shape,
    positions,
    [0.4 + random.uniform(), 0.4 + random.uniform()],
    () => random.integer(2400) - 1400,
  )
}
