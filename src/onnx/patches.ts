import type { PatchHypes } from '../config/patch_hypes.js'
import { cubePlanes, cubeSpec, patchGraph } from '../patches/index.js'
import { VERSION } from '../version.js'
import { Weights, emitBackbone } from './backbone.js'
import { GraphBuilder, OPSET } from './builder.js'
import { IR_VERSION, emitGray } from './detector.js'
import type { BuildOptions } from './detector.js'
import { dense } from './ops.js'
import type { FeatureMap } from './ops.js'
import { patchProps } from './patch_metadata.js'
import type { PatchMetadata } from './patch_metadata.js'
import type { OnnxModel } from './proto.js'

/** A trained classifier of cubes. */
export interface PatchNetwork {
  hypes: PatchHypes
  /** The weights by the names of src/patches/model.ts, in TensorFlow's layouts. */
  tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>
}

/**
 * Classifiers of cubes as an ONNX model; of several, the mean of their outputs.
 *
 * Input `cubes`: uint8 [N, planes, size, size], gray levels, planes from the feet to the head. Output `outputs`: float
 * [N, targets], as src/patches/targets.ts says (of 'nodule': a logit). N is free.
 *
 * @param networks at least one; all of the cube and targets of `metadata`
 * @throws NoduleError (FORMAT) where a weight is missing
 */
export function buildPatchModel(
  networks: readonly PatchNetwork[],
  metadata: PatchMetadata,
  o: BuildOptions = {},
): OnnxModel {
  const graph = new GraphBuilder()
  const { cube, targets } = metadata.hypes
  const channels = cubePlanes(cubeSpec({ cube }))
  const doc = 'gray levels; planes from the feet to the head, the mark in the middle'
  const input = graph.input('cubes', 'uint8', ['N', channels, cube.size, cube.size], doc)
  const gray = emitGray(graph, input, patchGraph(metadata.hypes))
  const cubes = { name: gray, channels, height: cube.size, width: cube.size }
  const fold = o.foldBatchNorm ?? true
  const alone = networks.length === 1
  const outputs = networks.map((network, n) =>
    emitPatches(graph, network, cubes, fold, alone ? ['', 'outputs'] : [`network${n + 1}/`, 'logits']),
  )
  const mean = alone ? outputs[0]! : graph.node('Mean', outputs, 'outputs')
  graph.output(mean, 'float', ['N', targets.length], targets.join(', '))
  return {
    ir_version: IR_VERSION,
    producer_name: 'nodule',
    producer_version: VERSION,
    opset_import: [{ domain: '', version: OPSET }],
    graph: graph.graph('patches', 'Cubes around marks on CT: nodule or not'),
    metadata_props: patchProps(metadata),
  }
}

function emitPatches(
  graph: GraphBuilder,
  { hypes, tensors }: PatchNetwork,
  cubes: FeatureMap,
  fold: boolean,
  [scope, result]: readonly [string, string],
): string {
  const weights = new Weights(new Map([...tensors].map(([name, tensor]) => [`${scope}${name}`, tensor])))
  const backbone = patchGraph(hypes, scope)
  const head = `${scope}head`
  const maps = emitBackbone(graph, backbone, cubes, weights, fold)
  const top = maps.get(backbone.top)!
  const means = graph.node('GlobalAveragePool', [top.name], `${head}/mean`)
  const maxima = graph.node('GlobalMaxPool', [top.name], `${head}/max`)
  const both = graph.node('Concat', [means, maxima], `${head}/pooled`, { axis: 1 })
  const flat = graph.node('Flatten', [both], `${head}/flat`, { axis: 1 })
  const layer = (name: string, from: string): string =>
    dense(graph, from, { ...weights.matrix(`${name}/weights`), bias: weights.vector(`${name}/biases`) }, name)
  const hidden = graph.node('Relu', [layer(`${head}/dense`, flat)], `${head}/hidden`)
  const outputs = hypes.targets.map((target) => layer(`${head}/${target}`, hidden))
  return graph.node('Concat', outputs, `${scope}${result}`, { axis: 1 })
}
