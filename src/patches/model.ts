import * as tf from '@tensorflow/tfjs'
import type { PatchHypes } from '../config/patch_hypes.js'
import { moveAverages, normalizeFrames, runBackbone } from '../model/backbone.js'
import type { BatchStatistics } from '../model/backbone.js'
import { BATCH_NORM_EPSILON, INPUT } from '../model/graph.js'
import type { BackboneGraph, ConvNode } from '../model/graph.js'
import { SYMMETRIC } from '../model/backbones/types.js'
import { dropout } from '../model/random_tensors.js'
import { backboneSpecs, createWeights } from '../model/weights.js'
import type { WeightSpec } from '../model/weights.js'
import { cubePlanes, cubeSpec } from './cube.js'

/** A classifier of cubes: convolutions in the plane over the planes as channels. */
export interface PatchModel {
  readonly hypes: PatchHypes
  readonly weights: Map<string, tf.Variable>
  /**
   * @param cubes gray levels 0..255, [n, size, size, planes]
   * @param o training: batch statistics and dropout (seeded by `step`); else moving averages and none
   * @returns outputs [n, targets] in the order of the hypes' targets; statistics: for `updateAverages`
   */
  forward: (
    cubes: tf.Tensor4D,
    o: { training: boolean; step?: number },
  ) => { outputs: tf.Tensor2D; statistics: BatchStatistics[] }
  /** Moves the batch-norm averages towards the statistics of a training pass and disposes of these. */
  updateAverages: (statistics: readonly BatchStatistics[]) => void
  dispose: () => void
}

/**
 * The convolutions, as the forward pass, the weights and the ONNX export walk them.
 * @param scope stands before every name: where several networks lie in one graph
 */
export function patchGraph(hypes: Pick<PatchHypes, 'cube' | 'widths'>, scope = ''): BackboneGraph {
  const nodes: ConvNode[] = []
  for (const [stage, filters] of hypes.widths.entries()) {
    for (const part of [1, 2]) {
      nodes.push({
        op: 'conv',
        name: `${scope}patches/conv${stage + 1}_${part}`,
        input: nodes.at(-1)?.name ?? INPUT,
        filters,
        kernel: [3, 3],
        stride: part === 1 && stage > 0 ? 2 : 1,
        padding: 'same',
        batchNorm: true,
        bias: false,
        activation: 'relu',
      })
    }
  }
  const top = nodes.at(-1)!.name
  return {
    nodes,
    top,
    early: top,
    channels: cubePlanes(cubeSpec(hypes)),
    epsilon: BATCH_NORM_EPSILON,
    input: SYMMETRIC,
  }
}

/**
 * Beside the convolutions' (see model/graph.ts): head/dense/weights [2 * last width, dense], head/dense/biases [dense];
 * head/TARGET/weights [dense, 1], head/TARGET/biases [1].
 */
export function patchWeightSpecs(hypes: PatchHypes, graph: BackboneGraph): WeightSpec[] {
  const { size } = hypes.cube
  const pooled = 2 * hypes.widths.at(-1)!
  const vector = (name: string, length: number): WeightSpec => ({
    name,
    shape: [length],
    start: { value: 0 },
    trainable: true,
  })
  const matrix = (name: string, fanIn: number, units: number, start: WeightSpec['start']): WeightSpec => ({
    name,
    shape: [fanIn, units],
    start,
    trainable: true,
  })
  return [
    ...backboneSpecs(graph, size, size),
    matrix('head/dense/weights', pooled, hypes.dense, { fanIn: pooled }),
    vector('head/dense/biases', hypes.dense),
    ...hypes.targets.flatMap((target) => [
      matrix(`head/${target}/weights`, hypes.dense, 1, { deviation: 0.01 }),
      vector(`head/${target}/biases`, 1),
    ]),
  ]
}

/** Builds the model with seeded random weights; an engine must have been started. */
export function createPatchModel(hypes: PatchHypes, seed: number): PatchModel {
  const graph = patchGraph(hypes)
  const weights = createWeights(patchWeightSpecs(hypes, graph), seed)
  const weight = (name: string): tf.Tensor2D => weights.get(name) as unknown as tf.Tensor2D
  return {
    hypes,
    weights,
    forward: (cubes, o) => {
      const statistics: BatchStatistics[] = []
      const normal = normalizeFrames(graph, cubes)
      const { top } = runBackbone(graph, weights, normal, o.training ? statistics : undefined)
      // What the nodule looks like as a whole, and the strongest sign anywhere.
      const pooled = tf.concat([tf.mean(top, [1, 2]), tf.max(top, [1, 2])], 1) // [n, 2 * width]
      const linear = tf.add(
        tf.matMul(pooled as tf.Tensor2D, weight('head/dense/weights')),
        weight('head/dense/biases'),
      )
      const hidden = tf.relu(linear) as tf.Tensor2D // [n, dense]
      const kept = o.training
        ? dropout(hidden, { rate: hypes.dropout, seed, step: o.step ?? 0 }, 'patches/hidden')
        : hidden
      const outputs = hypes.targets.map(
        (target) =>
          tf.add(
            tf.matMul(kept, weight(`head/${target}/weights`)),
            weight(`head/${target}/biases`),
          ) as tf.Tensor2D,
      )
      return { outputs: outputs.length === 1 ? outputs[0]! : tf.concat(outputs, 1), statistics }
    },
    updateAverages: (statistics) => moveAverages(weights, statistics, hypes.batch_norm_momentum),
    dispose: () => tf.dispose([...weights.values()]),
  }
}
