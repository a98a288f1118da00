import type { BackboneNode, ConvNode, InputScale } from '../graph.js'

/** The nodes of a backbone, and the layers that the decoder takes where the hypes name none. */
export interface Layers {
  nodes: BackboneNode[]
  /** The coarse features. */
  top: string
  /** The early features that rezoom samples. */
  early: string
}

/** One entry of the registry. */
export interface Backbone {
  /** What it is, and the source of its graph. */
  reference: string
  layers: () => Layers
  /** Added to the variance in every batch norm. */
  epsilon: number
  /** What the frames become before the first layer. */
  input: InputScale
  /**
   * How state dicts of PyTorch name the modules of a convolution, where there is such a model of the same graph. Files
   * with the names of the graph itself (TF-slim's, this package's) need none.
   */
  modules?: (node: string) => TorchModules
}

/** Prefixes of `.weight`, ...; undefined: no such module (a convolution with biases has no batch norm). */
export interface TorchModules {
  conv: string
  norm?: string | undefined
}

/** A convolution without bias, followed by batch norm and ReLU. */
export function conv(
  name: string,
  input: string,
  filters: number,
  size: number,
  stride = 1,
  rest: Partial<ConvNode> = {},
): ConvNode {
  return {
    op: 'conv',
    name,
    input,
    filters,
    kernel: [size, size],
    stride,
    padding: 'same',
    batchNorm: true,
    bias: false,
    activation: 'relu',
    ...rest,
  }
}

/** Gray levels to [-1, 1]. */
export const SYMMETRIC: InputScale = { divide: 127.5, subtract: 1 }

/** TF-slim's "VGG" preprocessing: gray levels less ImageNet's mean colors. */
export const IMAGENET_MEAN: InputScale = { divide: 1, subtract: [123.68, 116.779, 103.939] }

const [MEAN, DEVIATION] = [
  [0.485, 0.456, 0.406],
  [0.229, 0.224, 0.225],
] as const

/** torchvision's: ImageNet's mean and standard deviation of each color become 0 and 1. */
export const IMAGENET_STANDARD: InputScale = {
  divide: [255 * DEVIATION[0], 255 * DEVIATION[1], 255 * DEVIATION[2]],
  subtract: [MEAN[0] / DEVIATION[0], MEAN[1] / DEVIATION[1], MEAN[2] / DEVIATION[2]],
}
