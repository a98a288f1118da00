import { cubeBytes, cubePlanes } from './cube.js'
import type { CubeSpec } from './cube.js'

/** Along which axes a cube is turned over. */
export interface Mirror {
  x: boolean
  y: boolean
  z: boolean
}

/** A mark is judged as it is and as three of its mirror images; the mean of the four logits counts. */
export const VIEWS: readonly Mirror[] = [
  { x: false, y: false, z: false },
  { x: true, y: false, z: false },
  { x: false, y: true, z: false },
  { x: true, y: true, z: true },
]

/**
 * Mirror images of cubes, uint8 [n, planes, size, size]. Fine and coarse planes are turned over in z each for itself.
 * @returns `cubes` themselves where nothing is mirrored
 */
export function mirrorCubes(cubes: Uint8Array, spec: CubeSpec, { x, y, z }: Mirror): Uint8Array {
  if (!x && !y && !z) return cubes
  const { size, planes: fine } = spec.fine
  const planes = cubePlanes(spec)
  const bytes = cubeBytes(spec)
  const area = size * size
  const result = new Uint8Array(cubes.length)
  for (let at = 0; at < cubes.length; at += bytes)
    for (let plane = 0; plane < planes; plane++) {
      const last = plane < fine ? fine - 1 : fine + planes - 1
      const from = at + (z ? last - plane : plane) * area
      const to = at + plane * area
      for (let row = 0; row < size; row++) {
        const source = from + (y ? size - 1 - row : row) * size
        const target = to + row * size
        if (!x) result.set(cubes.subarray(source, source + size), target)
        else
          for (let column = 0; column < size; column++)
            result[target + column] = cubes[source + size - 1 - column]!
      }
    }
  return result
}
