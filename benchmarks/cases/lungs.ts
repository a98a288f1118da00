/** Sizes of the kernels of lung extraction; see kernels.ts. */
import type { RefineInput } from '../../src/kernels/lungs.js'
import { blocks } from '../../src/kernels/reference/lungs.js'
import type { Grid } from '../../src/kernels/reference/masks.js'
import { createRandom } from '../../src/random.js'

type Triple = readonly [number, number, number]

/** Grids: none, one, odd, one voxel off a word of 64 bits, rows of several words, one slice, one column. */
export const gridShapes: readonly Triple[] = [
  [0, 0, 0],
  [3, 4, 0],
  [2, 0, 5],
  [1, 1, 1],
  [3, 5, 7],
  [2, 3, 63],
  [2, 3, 64],
  [3, 2, 65],
  [1, 1, 129],
  [5, 3, 200],
  [1, 40, 90],
  [30, 17, 1],
  [7, 12, 70],
]

/** Radii in mm for voxels of `spacing`; 0 leaves all as it is, 200 reaches beyond every grid. */
export const balls: readonly { radius: number; spacing: Triple }[] = [
  { radius: 0, spacing: [1, 1, 1] },
  { radius: 0.9, spacing: [0.9, 0.9, 0.9] },
  { radius: 2.5, spacing: [2.5, 0.7, 0.7] },
  { radius: 4, spacing: [10, 10, 1] },
  { radius: 9, spacing: [2.5, 2.1, 2.1] },
  { radius: 7, spacing: [1e6, 1.3, 0.9] },
  { radius: 30, spacing: [5, 0.5, 0.3] },
  { radius: 200, spacing: [1, 1, 1] },
]

/** A mask of noise, of patches, of the first and last column, all 0 or all 1; a value other than 0 and 1 is outside. */
export function maskInput(
  shape: Triple,
  kind: 'noise' | 'sparse' | 'patches' | 'empty' | 'full' | 'sides',
  seed: number,
): Grid {
  const random = createRandom(seed)
  const data = new Uint8Array(shape[0] * shape[1] * shape[2])
  const share = { noise: 0.5, sparse: 0.03, patches: 0.1, empty: 0, full: 1, sides: 0 }[kind]
  for (let n = 0; n < data.length; n++) {
    if (kind === 'patches' && random.uniform() < 0.8 && n > 0) data[n] = data[n - 1]!
    else data[n] = random.uniform() < share ? 1 : 0
  }
  if (kind === 'sides' && data.length > 0)
    for (let n = 0; n < data.length; n += shape[2]) data[n] = data[n + shape[2] - 1] = 1
  if (kind === 'noise' && data.length > 2) data[data.length >> 1] = 2
  return { data, shape, spacing: [1, 1, 1] }
}

export const maskKinds = ['noise', 'sparse', 'patches', 'empty', 'full', 'sides'] as const

/** HU of noise around the lung's surface, with the ends of int16 among them. */
export function huData(shape: Triple, seed: number): Int16Array {
  const random = createRandom(seed)
  const data = new Int16Array(shape[0] * shape[1] * shape[2])
  for (let n = 0; n < data.length; n++)
    data[n] =
      random.uniform() < 0.02 ? (random.uniform() < 0.5 ? -32768 : 32767) : -400 + 300 * random.normal()
  return data
}

export interface BlockCase {
  name: string
  shape: Triple
  factors: Triple
}

export const blockCases: readonly BlockCase[] = [
  { name: 'nothing', shape: [0, 0, 0], factors: [1, 2, 3] },
  { name: 'no columns', shape: [3, 3, 0], factors: [2, 2, 2] },
  { name: 'one voxel', shape: [1, 1, 1], factors: [3, 3, 3] },
  { name: 'blocks of one', shape: [3, 5, 7], factors: [1, 1, 1] },
  { name: 'cut off everywhere', shape: [5, 11, 13], factors: [2, 3, 4] },
  { name: 'larger than the volume', shape: [5, 6, 7], factors: [128, 128, 128] },
  { name: 'more rows than a thread takes', shape: [9, 70, 33], factors: [1, 2, 3] },
  { name: 'one past a word', shape: [4, 9, 65], factors: [2, 3, 1] },
]

/** Lungs on the coarse grid: both, one, none; with voxels of the trachea, some of them twice. */
export function refineInput(
  c: BlockCase,
  lungs: 'both' | 'right' | 'left' | 'none',
  seed: number,
): RefineInput {
  const coarse = blocks(c.shape, c.factors)
  const random = createRandom(seed)
  const closed = (side: number): Uint8Array => maskInput(coarse, 'patches', seed + side).data
  const right = lungs === 'both' || lungs === 'right' ? closed(1) : undefined
  const left = lungs === 'both' || lungs === 'left' ? closed(2) : undefined
  const dark = (mask: Uint8Array | undefined): Uint8Array | undefined =>
    mask?.map((value) => (random.uniform() < 0.8 ? value : 0))
  const data = huData(c.shape, seed)
  const trachea = Int32Array.from({ length: data.length >> 3 }, () => random.integer(data.length))
  return {
    data,
    shape: c.shape,
    factors: c.factors,
    closed: [right, left],
    air: [dark(right), dark(left)],
    trachea,
    surfaceHu: -400,
    sides: seed % 2 === 0,
  }
}
