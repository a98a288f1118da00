import * as tf from '@tensorflow/tfjs'
import type { Hypes } from '../config/hypes.js'
import { graphShapes } from './graph.js'
import type { BackboneGraph, ConvNode } from './graph.js'
import { truncatedNormal, uniform } from './random_tensors.js'

export interface WeightSpec {
  name: string
  shape: number[]
  /** How it starts: normal by He's rule over `fanIn` or of a deviation, uniform over [-limit, limit), or one value. */
  start: { fanIn: number } | { deviation: number } | { limit: number } | { value: number }
  trainable: boolean
}

/** Start of all decoder weights in TensorBox, and the standard deviation of those of `deconv`. */
const DECODER_LIMIT = 0.1
const DECONV_DEVIATION = 0.01
/** Channels that `deconv` makes anew; the others stay, as in TensorBox. */
export const DECONV_CHANNELS = 256

/** Every weight of the model in the order of computation; the names of the backbone's are explained in graph.ts. */
export function weightSpecs(hypes: Hypes, graph: BackboneGraph): WeightSpec[] {
  return [...backboneSpecs(graph, hypes.image_height, hypes.image_width), ...decoderSpecs(hypes, graph)]
}

/** The name of a convolution's filter. */
export function filterName(node: Pick<ConvNode, 'name' | 'depthwise'>): string {
  return `${node.name}/${node.depthwise === true ? 'depthwise_weights' : 'weights'}`
}

/** The weights of a backbone's nodes for frames of `height` x `width`. */
export function backboneSpecs(graph: BackboneGraph, height: number, width: number): WeightSpec[] {
  const shapes = graphShapes(graph, height, width)
  const specs: WeightSpec[] = []
  for (const node of graph.nodes) {
    if (node.op !== 'conv') continue
    const channels = shapes.get(node.input)!.channels
    const fanIn = node.kernel[0] * node.kernel[1] * (node.depthwise === true ? 1 : channels)
    const vector = (name: string, value: number, trainable = true): WeightSpec => ({
      name: `${node.name}/${name}`,
      shape: [node.filters],
      start: { value },
      trainable,
    })
    const shape = node.depthwise === true ? [channels, 1] : [channels, node.filters]
    specs.push({
      name: filterName(node),
      shape: [...node.kernel, ...shape],
      start: { fanIn },
      trainable: true,
    })
    if (node.batchNorm) {
      specs.push(vector('BatchNorm/gamma', 1), vector('BatchNorm/beta', 0))
      specs.push(vector('BatchNorm/moving_mean', 0, false), vector('BatchNorm/moving_variance', 1, false))
    } else if (node.bias) specs.push(vector('biases', 0))
  }
  return specs
}

/** Channels of the coarse and of the early features that the decoder sees. */
export function decoderChannels(hypes: Hypes, graph: BackboneGraph): { later: number; early: number } {
  const shapes = graphShapes(graph, hypes.image_height, hypes.image_width)
  const limit = (wanted: number, name: string): number => {
    const { channels } = shapes.get(name)!
    return wanted === 0 ? channels : Math.min(wanted, channels)
  }
  return {
    later: limit(hypes.later_feat_channels, graph.top),
    early: limit(hypes.early_feat_channels, graph.early),
  }
}

/**
 * - deconv/conv [3, 3, later, later], deconv/transposed [2, 2, first 256, later]: with `deconv`
 * - decoder/lstm/layer_i/kernel [in + units, 4 * units] (rows: input, then state; columns: the gates input, new,
 *   forget, output), decoder/lstm/layer_i/bias [4 * units]; or decoder/ip [later, units] where there is no LSTM
 * - decoder/box_ip/k [units, 4], decoder/conf_ip/k [units, classes]: box k of a cell
 * - decoder/delta_ip1/k [units + samples * early, 128], decoder/delta_ip2/k [128, classes],
 *   decoder/delta_ip_boxes/k [128, 4]: the second stage
 */
function decoderSpecs(hypes: Hypes, graph: BackboneGraph): WeightSpec[] {
  const { later, early } = decoderChannels(hypes, graph)
  const units = hypes.lstm_size
  const specs: WeightSpec[] = []
  const add = (
    name: string,
    shape: number[],
    start: WeightSpec['start'] = { limit: DECODER_LIMIT },
  ): void => {
    specs.push({ name, shape, start, trainable: true })
  }
  if (hypes.deconv) {
    const start = { deviation: DECONV_DEVIATION }
    add('deconv/conv', [3, 3, later, later], start)
    add('deconv/transposed', [2, 2, Math.min(DECONV_CHANNELS, later), later], start)
  }
  if (hypes.use_lstm) {
    for (let layer = 0; layer < hypes.num_lstm_layers; layer++) {
      const path = `decoder/lstm/layer_${layer}`
      add(`${path}/kernel`, [(layer === 0 ? later : units) + units, 4 * units])
      add(`${path}/bias`, [4 * units], { value: 0 })
    }
  } else add('decoder/ip', [later, units])
  const samples = hypes.rezoom_w_coords.length * hypes.rezoom_h_coords.length
  for (let k = 0; k < hypes.rnn_len; k++) {
    add(`decoder/box_ip/${k}`, [units, 4])
    add(`decoder/conf_ip/${k}`, [units, hypes.num_classes])
    if (!hypes.use_rezoom) continue
    add(`decoder/delta_ip1/${k}`, [units + samples * early, REZOOM_UNITS])
    add(`decoder/delta_ip2/${k}`, [REZOOM_UNITS, hypes.num_classes])
    if (hypes.reregress) add(`decoder/delta_ip_boxes/${k}`, [REZOOM_UNITS, 4])
  }
  return specs
}

/** Hidden units of the second stage. */
export const REZOOM_UNITS = 128

/** The starting values of a weight: the same for a seed and name, whatever else the model has. */
export function initialValues(spec: WeightSpec, seed: number): Float32Array {
  const size = spec.shape.reduce((a, b) => a * b, 1)
  if ('value' in spec.start) return new Float32Array(size).fill(spec.start.value)
  if ('limit' in spec.start) return uniform(size, spec.start.limit, seed, spec.name)
  const deviation = 'deviation' in spec.start ? spec.start.deviation : Math.sqrt(2 / spec.start.fanIn)
  // 0.8796 is the standard deviation of a normal distribution cut at 2.
  return truncatedNormal(size, deviation / 0.8796, seed, spec.name)
}

/**
 * Makes the variables of a model. Their names in tfjs are its own: several models can live in one process.
 * @param seed of the starting values; undefined: 0 stands where they would be drawn, for `drawWeights` or values of a file
 */
export function createWeights(
  specs: readonly WeightSpec[],
  seed: number | undefined,
): Map<string, tf.Variable> {
  return new Map(
    specs.map((spec) => {
      const drawn = seed === undefined && !('value' in spec.start)
      const tensor = drawn
        ? tf.zeros(spec.shape)
        : tf.tensor(initialValues(spec, seed ?? 0), spec.shape, 'float32')
      const variable = tf.variable(tensor, spec.trainable)
      tensor.dispose()
      return [spec.name, variable]
    }),
  )
}

/** Gives their starting values to the weights that have none from elsewhere. */
export function drawWeights(
  weights: ReadonlyMap<string, tf.Variable>,
  specs: readonly WeightSpec[],
  seed: number,
  given: ReadonlySet<string>,
): void {
  for (const spec of specs) {
    if (given.has(spec.name) || 'value' in spec.start) continue
    const tensor = tf.tensor(initialValues(spec, seed), spec.shape, 'float32')
    weights.get(spec.name)!.assign(tensor)
    tensor.dispose()
  }
}
