/** What `nodule weights` says of a file, and its conversion. */
import type { BackboneName } from '../config/backbones.js'
import { NoduleError } from '../errors.js'
import { writeSafeTensors } from '../formats/safetensors.js'
import type { HostTensor } from '../formats/safetensors.js'
import { fitAll, fitBackbone, isWhole, readBackbone } from './fit.js'
import { openWeights } from './open.js'
import type { NumberType } from './types.js'

export interface Description {
  path: string
  format: string
  tensors: { name: string; type: NumberType; shape: readonly number[] }[]
  /** The backbones that it fits; where there is none, the one of which it holds most. */
  fits: {
    backbone: BackboneName
    /** Of the frames that it is for: `data.channels` of the hypes. */
    channels: number
    whole: boolean
    /** Variables found; scales of batch norms that it lacks; names of those missing, of another shape, left over. */
    found: number
    constant: number
    missing: string[]
    otherShape: string[]
    leftOver: string[]
  }[]
}

/** Throws NoduleError (FILE, FORMAT, UNSUPPORTED). */
export async function describeWeights(path: string): Promise<Description> {
  const file = await openWeights(path)
  try {
    const fits = fitAll(file)
    const whole = fits.filter(isWhole)
    return {
      path,
      format: file.format,
      tensors: [...file.tensors.values()].map(({ name, type, shape }) => ({ name, type, shape })),
      fits: (whole.length > 0 ? whole : fits.slice(0, 1)).map((fit) => ({
        backbone: fit.backbone,
        channels: fit.channels,
        whole: isWhole(fit),
        found: fit.found.length,
        constant: fit.constant.length,
        missing: fit.missing.map(({ source }) => source),
        otherShape: fit.otherShape.map(({ tensor }) => tensor.name),
        leftOver: fit.leftOver,
      })),
    }
  } finally {
    await file.close()
  }
}

export interface Converted {
  path: string
  /** Tensors written. */
  tensors: number
  /** Names of those that are no floats. */
  skipped: string[]
}

const FLOATS: readonly NumberType[] = ['float64', 'float32', 'float16', 'bfloat16']
/** The file is made in memory. */
const MAX_NUMBERS = 2 ** 29 - 2 ** 24

/**
 * Writes a safetensors file of float32: every tensor of floats as it is, or a backbone's variables by the names and in
 * the layouts of this package. Throws NoduleError (FILE, FORMAT, UNSUPPORTED).
 */
export async function convertWeights(
  path: string,
  output: string,
  backbone?: BackboneName,
): Promise<Converted> {
  const file = await openWeights(path)
  try {
    let tensors: Map<string, HostTensor>
    let skipped: string[]
    if (backbone === undefined) {
      const all = [...file.tensors.values()]
      const floats = all.filter(({ type }) => FLOATS.includes(type))
      skipped = all.filter((tensor) => !floats.includes(tensor)).map(({ name }) => name)
      const numbers = floats.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0)
      if (numbers > MAX_NUMBERS)
        throw new NoduleError('UNSUPPORTED', 'too many numbers for one file', {
          path,
          expected: `at most ${MAX_NUMBERS}`,
          actual: String(numbers),
        })
      tensors = new Map()
      for (const tensor of floats)
        tensors.set(tensor.name, { shape: [...tensor.shape], data: await tensor.read() })
    } else {
      const fit = fitBackbone(file, backbone)
      tensors = await readBackbone(file, fit)
      skipped = fit.leftOver
    }
    await writeSafeTensors(output, { metadata: { source: file.format }, tensors })
    return { path: output, tensors: tensors.size, skipped }
  } finally {
    await file.close()
  }
}
