/** Which backbone a file of weights is of, and its variables in this package's names and layouts. */
import { BACKBONE_NAMES } from '../config/backbones.js'
import type { BackboneName } from '../config/backbones.js'
import { NoduleError } from '../errors.js'
import type { HostTensor } from '../formats/safetensors.js'
import { wholeBackbone } from '../model/backbones/registry.js'
import type { BackboneGraph } from '../model/graph.js'
import { sizeOf } from './bytes.js'
import { namedVariables, namingsOf } from './names.js'
import type { NamedVariable, Naming } from './names.js'
import type { FileTensor, WeightsFile } from './types.js'

/** How a file and a backbone go together. */
export interface Fit {
  backbone: BackboneName
  /** Of the frames: `data.channels` of the hypes. */
  channels: number
  naming: Naming
  /** What the file puts before its names: "model/" in this package's checkpoints. */
  prefix: string
  /** Variables that the file has in the right shape. */
  found: { variable: NamedVariable; tensor: FileTensor }[]
  /** Variables that it lacks and that start from a constant: scales of batch norms. */
  constant: NamedVariable[]
  /** Variables that it lacks. */
  missing: NamedVariable[]
  /** Variables of another shape than here. */
  otherShape: { variable: NamedVariable; tensor: FileTensor; expected: readonly number[] }[]
  /** What else the file holds. */
  leftOver: string[]
}

const PREFIXES = ['', 'model/']

/** Whether every variable of the backbone comes out of the file. */
export function isWhole(fit: Fit): boolean {
  return fit.missing.length === 0 && fit.otherShape.length === 0 && fit.found.length > 0
}

/** The best way to read a backbone from a file, of its namings and prefixes. */
export function fitBackbone(
  file: WeightsFile,
  backbone: BackboneName,
  graph: BackboneGraph = wholeBackbone(backbone),
): Fit {
  const fits = namingsOf(backbone).flatMap((naming) => {
    const variables = namedVariables(backbone, naming, graph)
    return PREFIXES.map((prefix) =>
      fit(file, { backbone, channels: graph.channels, naming, prefix }, variables),
    )
  })
  return fits.reduce((best, one) => (one.found.length > best.found.length ? one : best))
}

/** All backbones of which the file holds something, for frames of as many channels as it has, the fullest first. */
export function fitAll(file: WeightsFile): Fit[] {
  const share = ({ found, missing, otherShape }: Fit): number =>
    found.length / (found.length + missing.length + otherShape.length)
  return BACKBONE_NAMES.map((name) => fitChannels(file, name))
    .filter(({ found, otherShape }) => found.length + otherShape.length > 0)
    .sort((a, b) => share(b) - share(a))
}

/** The first convolution tells for how many channels the file is. */
function fitChannels(file: WeightsFile, backbone: BackboneName): Fit {
  const one = fitBackbone(file, backbone)
  const [odd] = one.otherShape
  if (odd === undefined || one.otherShape.length > 1 || one.missing.length > 0) return one
  const channels = odd.tensor.shape[isTurned(odd.variable, one.naming, file) ? 1 : 2] ?? 0
  if (channels < 1) return one
  const other = fitBackbone(file, backbone, wholeBackbone(backbone, channels))
  return isWhole(other) ? other : one
}

function fit(
  file: WeightsFile,
  how: Pick<Fit, 'backbone' | 'channels' | 'naming' | 'prefix'>,
  variables: readonly NamedVariable[],
): Fit {
  const { naming, prefix } = how
  const result: Fit = {
    ...how,
    found: [],
    constant: [],
    missing: [],
    otherShape: [],
    leftOver: [],
  }
  const used = new Set<string>()
  for (const variable of variables) {
    const tensor = file.tensors.get(prefix + variable.source)
    if (tensor === undefined) {
      if (variable.otherwise === undefined) result.missing.push(variable)
      else result.constant.push(variable)
      continue
    }
    used.add(tensor.name)
    const expected = shapeInFile(variable, naming, file)
    if (expected.join() === tensor.shape.join()) result.found.push({ variable, tensor })
    else result.otherShape.push({ variable, tensor, expected })
  }
  result.leftOver = [...file.tensors.keys()].filter((name) => !used.has(name))
  return result
}

/** Where a filter's axes lie otherwise in the file: [out, in, kh, kw], as PyTorch and ONNX have them. */
function isTurned({ filter }: NamedVariable, naming: Naming, file: WeightsFile): boolean {
  return filter !== undefined && (naming === 'modules' || file.layout === 'OIHW')
}

function shapeInFile(variable: NamedVariable, naming: Naming, file: WeightsFile): readonly number[] {
  if (!isTurned(variable, naming, file)) return variable.shape
  const [kh, kw, a, b] = variable.shape as readonly [number, number, number, number]
  return variable.filter === 'depthwise' ? [a, b, kh, kw] : [b, a, kh, kw]
}

/**
 * The backbone's variables, in its own names and layouts. Throws NoduleError (FORMAT) where some are missing or have
 * another shape: it names the first of them, and the backbone that the file is of.
 */
export async function readBackbone(file: WeightsFile, fit: Fit): Promise<Map<string, HostTensor>> {
  if (!isWhole(fit)) throw notWhole(file, fit)
  const tensors = new Map<string, HostTensor>()
  for (const { variable, tensor } of fit.found) {
    const values = await tensor.read()
    const data = isTurned(variable, fit.naming, file) ? turned(values, variable) : values
    tensors.set(variable.name, { shape: [...variable.shape], data })
  }
  for (const { name, shape, otherwise } of fit.constant)
    tensors.set(name, { shape: [...shape], data: new Float32Array(sizeOf(shape)).fill(otherwise!) })
  return tensors
}

/** [out, in, kh, kw] (depthwise: [channels, 1, kh, kw]) to [kh, kw, in, out] ([kh, kw, channels, 1]). */
function turned(values: Float32Array, { shape, filter }: NamedVariable): Float32Array {
  const [kh, kw, a, b] = shape as readonly [number, number, number, number]
  const [cin, cout] = filter === 'depthwise' ? [b, a] : [a, b]
  const taps = kh * kw
  const result = new Float32Array(values.length)
  for (let o = 0; o < cout; o++)
    for (let c = 0; c < cin; c++)
      for (let tap = 0; tap < taps; tap++)
        result[(tap * cin + c) * cout + o] = values[(o * cin + c) * taps + tap]!
  return result
}

/** So many names stand in an error. */
const NAMED = 3

export function namesOf(names: readonly string[]): string {
  const shown = names.slice(0, NAMED).join(', ')
  return names.length > NAMED ? `${shown} and ${names.length - NAMED} more` : shown
}

function notWhole(file: WeightsFile, fit: Fit): NoduleError {
  const { backbone, missing, otherShape, found } = fit
  const whole = fitAll(file).filter((one) => isWhole(one) && one.backbone !== backbone)
  const advice =
    whole.length === 0
      ? ''
      : `; the file is of ${whole.map((one) => one.backbone).join(', ')} (slim_basename)`
  const [odd] = otherShape
  if (odd !== undefined && missing.length === 0) {
    return new NoduleError('FORMAT', `weights of another shape than ${backbone} has${advice}`, {
      path: file.path,
      place: odd.tensor.name,
      expected: `[${odd.expected.join(', ')}]`,
      actual: `[${odd.tensor.shape.join(', ')}]`,
    })
  }
  return new NoduleError('FORMAT', `the file lacks weights of ${backbone}${advice}`, {
    path: file.path,
    expected: `${found.length + missing.length + otherShape.length} variables such as ${namesOf(missing.map(({ source }) => source))}`,
    actual: `${found.length} of them, and ${fit.leftOver.length} others${fit.leftOver.length === 0 ? '' : ` such as ${namesOf(fit.leftOver)}`}`,
  })
}
