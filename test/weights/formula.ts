/** Weights by a formula of their name and index, as test/fixtures/weights/formula.py makes them. */
import { crc32 } from 'node:zlib'
import type { FileTensor, WeightsFile } from '../../src/weights/index.js'
import { namedVariables } from '../../src/weights/names.js'
import type { Naming } from '../../src/weights/names.js'
import type { BackboneName } from '../../src/config/backbones.js'

/** `make` of numbers in [-0.5, 0.5), a 32-bit hash of the name's checksum and the index. */
export function uniform(name: string, count: number, make: (u: number) => number): Float32Array {
  const seed = crc32(name)
  const values = new Float32Array(count)
  for (let i = 0; i < count; i++) {
    let x = seed + Math.imul(i, 2654435761)
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
    values[i] = make(((x ^ (x >>> 16)) >>> 0) / 4294967296 - 0.5)
  }
  return values
}

/** A file of the backbone's weights that is only a formula: PyTorch's names and layout, or TF-slim's. */
export function formulaFile(backbone: BackboneName, naming: Naming, gamma: number): WeightsFile {
  const torch = naming === 'modules'
  const tensors = new Map<string, FileTensor>()
  for (const { name, shape, source, filter } of namedVariables(backbone, naming)) {
    // TF-slim's InceptionV1 has no scales.
    if (backbone === 'InceptionV1' && name.endsWith('gamma')) continue
    const [kh = 0, kw = 0, a = 0, b = 0] = shape
    const turned = filter === 'depthwise' ? [a, b, kh, kw] : [b, a, kh, kw]
    const own = torch && filter !== undefined ? turned : shape
    const count = own.reduce((x, y) => x * y, 1)
    const scale = Math.sqrt(24 / (filter === undefined ? 1 : count / (torch ? own[0]! : own[3]!)))
    const make = makerOf(name, filter === undefined ? undefined : scale, gamma)
    const read = (): Promise<Float32Array> => Promise.resolve(uniform(source, count, make))
    tensors.set(source, { name: source, shape: own, type: 'float32', read })
  }
  const layout = torch ? 'OIHW' : 'HWIO'
  return { path: `${backbone}.formula`, format: 'formula', tensors, layout, close: () => Promise.resolve() }
}

function makerOf(name: string, scale: number | undefined, gamma: number): (u: number) => number {
  if (scale !== undefined) return (u) => u * scale
  if (name.endsWith('gamma')) return (u) => gamma + 0.2 * u
  if (name.endsWith('moving_mean')) return (u) => 0.1 * u
  return name.endsWith('moving_variance') ? (u) => 1 + 0.5 * u : (u) => 0.2 * u
}

/** Gray levels [1, height, width, 3] of the fixtures. */
export function formulaFrame(height: number, width: number): Float32Array {
  return uniform('frames', height * width * 3, (u) => Math.floor((u + 0.5) * 256))
}
