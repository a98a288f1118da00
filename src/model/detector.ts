import * as tf from '@tensorflow/tfjs'
import { checkInteger } from '../check.js'
import { slotHeads, slotLayer } from '../engine/slots.js'
import { NoduleError } from '../errors.js'
import type { Hypes } from '../config/hypes.js'
import { buildBackbone } from './backbones/registry.js'
import { moveAverages, normalizeFrames, runBackbone } from './backbone.js'
import type { BatchStatistics } from './backbone.js'
import { decodeCells, widenCoarse } from './decoder.js'
import { graphShapes } from './graph.js'
import type { BackboneGraph, NodeShape } from './graph.js'
import { dropout } from './random_tensors.js'
import { rezoom } from './rezoom.js'
import { createWeights, decoderChannels, drawWeights, weightSpecs } from './weights.js'
import type { WeightSpec } from './weights.js'

/** What the network says about every slot (one of rnn_len boxes) of every cell; cells row by row. */
export interface Outputs {
  /** First-stage boxes [n, cells, rnn_len, 4]: cx, cy, w, h in frame pixels, centers relative to the cell's. */
  boxes: tf.Tensor4D
  /** First-stage logits [n, cells, rnn_len, classes]; class 0 is the background. */
  logits: tf.Tensor4D
  /** Second-stage logits, with use_rezoom: they replace the first-stage ones. */
  rezoomLogits?: tf.Tensor4D
  /** Corrections [n, cells, rnn_len, 4], with reregress: to be added to `boxes`. */
  deltas?: tf.Tensor4D
  /** Batch statistics, when training: give them to `updateAverages`, which disposes of them. */
  statistics: BatchStatistics[]
}

export interface Detector {
  readonly hypes: Hypes
  readonly graph: BackboneGraph
  readonly specs: readonly WeightSpec[]
  /** All weights by name: see graph.ts and weights.ts. */
  readonly weights: Map<string, tf.Variable>
  /**
   * @param frames gray levels 0..255, [n, image_height, image_width, data.channels]
   * @param o training: batch statistics and dropout (seeded by `step`); else moving averages and none
   */
  forward: (frames: tf.Tensor4D, o: { training: boolean; step?: number }) => Outputs
  /** @returns boxes [n, cells, rnn_len, 4] x1, y1, x2, y2 in frame pixels; confidences [n, cells, rnn_len] in [0, 1] */
  decode: (outputs: Outputs) => { boxes: tf.Tensor4D; confidences: tf.Tensor3D }
  /** Draws the weights but those that were given values from elsewhere; for a detector that was made without. */
  draw: (given: ReadonlySet<string>) => void
  /** Moves the batch-norm averages towards the statistics of a training pass and disposes of these. */
  updateAverages: (statistics: readonly BatchStatistics[]) => void
  dispose: () => void
}

/**
 * Builds the model with seeded random weights; an engine must have been started.
 * Throws NoduleError (FORMAT) where the hypes do not fit together.
 * @param o draw: false leaves the random weights at 0, for a caller that gives values to all of them, or to some and then
 *   calls `draw`: those of a ResNet take seconds
 */
export function createDetector(hypes: Hypes, seed: number, o: { draw?: boolean } = {}): Detector {
  checkInteger('seed', seed, 0, 0xffffffff)
  const graph = buildBackbone(hypes)
  const shapes = graphShapes(graph, hypes.image_height, hypes.image_width)
  checkShapes(hypes, graph, shapes.get(graph.top)!)
  const plan: Plan = {
    hypes,
    graph,
    seed,
    channels: decoderChannels(hypes, graph),
    earlyStride: shapes.get(graph.early)!.stride,
  }
  const specs = weightSpecs(hypes, graph)
  const weights = createWeights(specs, o.draw === false ? undefined : seed)
  return {
    hypes,
    graph,
    specs,
    weights,
    forward: (frames, how) => forward(plan, weights, frames, how.training ? (how.step ?? 0) : undefined),
    decode: (outputs) => decode(hypes, outputs),
    draw: (given) => drawWeights(weights, specs, seed, given),
    updateAverages: (statistics) => moveAverages(weights, statistics, hypes.batch_norm_momentum),
    dispose: () => tf.dispose([...weights.values()]),
  }
}

/** What is the same in every forward pass. */
interface Plan {
  hypes: Hypes
  graph: BackboneGraph
  seed: number
  /** Channels of the coarse and of the early features that the decoder sees. */
  channels: { later: number; early: number }
  /** Frame pixels per early feature. */
  earlyStride: number
}

/** The whole forward pass. n frames, g = grid_height * grid_width cells, m = n * g, r = rnn_len, u = lstm_size. */
function forward(
  { hypes, graph, seed, channels, earlyStride }: Plan,
  weights: ReadonlyMap<string, tf.Tensor>,
  frames: tf.Tensor4D,
  trainingStep: number | undefined,
): Outputs {
  const n = frames.shape[0]
  const g = hypes.grid_height * hypes.grid_width
  const m = n * g
  const r = hypes.rnn_len
  const slots = Array.from({ length: r }, (_, k) => k)
  const slotWeights = (name: string): tf.Tensor2D[] =>
    slots.map((k) => weights.get(`decoder/${name}/${k}`) as tf.Tensor2D)
  const statistics: BatchStatistics[] = []
  const drop = <T extends tf.Tensor>(x: T, ...labels: string[]): T =>
    trainingStep === undefined ? x : dropout(x, { rate: hypes.dropout, seed, step: trainingStep }, ...labels)
  const dropSlots = (x: tf.Tensor3D, name: string): tf.Tensor3D =>
    drop(x, ...slots.map((k) => `${name}/${k}`))

  // 1. The backbone: coarse features, one vector a cell, and early features, finer.
  const normal = normalizeFrames(graph, frames) // [n, image_height, image_width, 3]
  const features = runBackbone(graph, weights, normal, trainingStep === undefined ? undefined : statistics)
  const top = firstChannels(features.top, channels.later) // [n, grid_height, grid_width, later]
  const early = firstChannels(features.early, channels.early) // [n, h, w, early]

  // 2. The decoder: r hidden vectors a cell, from each a box and its logits.
  const coarse = widenCoarse(hypes, weights, top)
  const input = tf.mul<tf.Tensor2D>(tf.reshape(coarse, [m, channels.later]), hypes.lstm_input_scale) // [m, later]
  const hidden = decodeCells(hypes, weights, input) // [r, m, u]
  const heads = (states: tf.Tensor3D, name: string, scale: number): tf.Tensor4D =>
    tf.reshape(slotHeads(states, slotWeights(name), scale), [n, g, r, -1])
  const dropped = dropSlots(hidden, 'hidden')
  const boxes = heads(dropped, 'box_ip', hypes.box_scale) // [n, g, r, 4]
  const logits = heads(dropped, 'conf_ip', 1) // [n, g, r, classes]
  if (!hypes.use_rezoom) return { boxes, logits, statistics }

  // 3. Rezoom: early features where the boxes were predicted decide about them once more.
  const absolute = tf.reshape(tf.add(boxes, cellCenters(hypes)), [n, g * r, 4]) as tf.Tensor3D
  const sampled = rezoom(early, absolute, earlyStride, hypes) // [n, g * r, samples * early]
  const width = sampled.shape[2]
  const seen = drop(tf.reshape(tf.mul(sampled, hypes.rezoom_feature_scale), [m, r, width]), 'rezoom')
  const units = tf.relu(slotLayer(hidden, seen as tf.Tensor3D, slotWeights('delta_ip1'))) // [r, m, 128]
  const second = dropSlots(units, 'delta')
  const rezoomLogits = heads(second, 'delta_ip2', hypes.rezoom_conf_scale) // [n, g, r, classes]
  if (!hypes.reregress) return { boxes, logits, rezoomLogits, statistics }
  const deltas = heads(second, 'delta_ip_boxes', hypes.rezoom_box_scale) // [n, g, r, 4]
  return { boxes, logits, rezoomLogits, deltas, statistics }
}

/** Final boxes and confidences of all slots. */
function decode(hypes: Hypes, outputs: Outputs): { boxes: tf.Tensor4D; confidences: tf.Tensor3D } {
  return tf.tidy(() => {
    const relative = outputs.deltas === undefined ? outputs.boxes : tf.add(outputs.boxes, outputs.deltas)
    const absolute = tf.add(relative, cellCenters(hypes))
    const [cx, cy, w, h] = tf.split(absolute, 4, 3) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
    const [halfW, halfH] = [w, h].map((size) => tf.add(tf.mul(size, 0.5), hypes.box_margin_px)) as [
      tf.Tensor,
      tf.Tensor,
    ]
    const boxes = tf.concat([tf.sub(cx, halfW), tf.sub(cy, halfH), tf.add(cx, halfW), tf.add(cy, halfH)], 3)
    return { boxes: boxes as tf.Tensor4D, confidences: confidencesOf(outputs) }
  })
}

/** Final confidences of all slots alone, as `decode` has them. */
export function confidencesOf({
  rezoomLogits,
  logits,
}: Pick<Outputs, 'rezoomLogits' | 'logits'>): tf.Tensor3D {
  return tf.tidy(() => {
    const probabilities = tf.softmax(rezoomLogits ?? logits) // [n, g, r, classes]
    const [n, g, r] = probabilities.shape
    const background = tf.reshape(tf.slice(probabilities, [0, 0, 0, 0], [n, g, r, 1]), [n, g, r])
    return tf.sub(1, background) as tf.Tensor3D
  })
}

/** Centers of the cells as [cells, 1, 4]: x, y, 0, 0 in frame pixels. */
function cellCenters(hypes: Hypes): tf.Tensor3D {
  const { grid_width: width, grid_height: height, region_size: size } = hypes
  const values = new Float32Array(width * height * 4)
  for (let cell = 0; cell < width * height; cell++) {
    values[4 * cell] = ((cell % width) + 0.5) * size
    values[4 * cell + 1] = (Math.floor(cell / width) + 0.5) * size
  }
  return tf.tensor3d(values, [width * height, 1, 4])
}

function firstChannels(x: tf.Tensor4D, channels: number): tf.Tensor4D {
  const [n, h, w, all] = x.shape
  return channels === all ? x : tf.slice(x, [0, 0, 0, 0], [n, h, w, channels])
}

function checkShapes(hypes: Hypes, graph: BackboneGraph, top: NodeShape): void {
  const { height, width, stride } = top
  if (height !== hypes.grid_height || width !== hypes.grid_width) {
    throw new NoduleError('FORMAT', 'the coarse features do not fit the grid', {
      place: 'region_size',
      expected: `${stride}, the stride of ${graph.top} (${width} x ${height} cells)`,
      actual: `${hypes.region_size} (${hypes.grid_width} x ${hypes.grid_height} cells)`,
    })
  }
  if (!hypes.use_lstm && hypes.rnn_len !== 1) {
    throw new NoduleError('FORMAT', 'without LSTM a cell has one box', {
      place: 'rnn_len',
      expected: '1',
      actual: String(hypes.rnn_len),
    })
  }
}
