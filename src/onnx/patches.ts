import type { PatchHypes } from '../config/patch_hypes.js'
import { cubePlanes, cubeSpec, patchGraph } from '../patches/index.js'
import { VERSION } from '../version.js'
import { Weights, emitBackbone } from './backbone.js'
import { GraphBuilder, OPSET } from './builder.js'
import { IR_VERSION, emitGray } from './detector.js'
import type { BuildOptions } from './detector.js'
import { dense } from './ops.js'
import { patchProps } from './patch_metadata.js'
import type { PatchMetadata } from './patch_metadata.js'
import type { OnnxModel } from './proto.js'

/**
 * A classifier of cubes as an ONNX model.
 *
 * Input `cubes`: uint8 [N, planes, size, size], gray levels, planes from the feet to the head. Output `outputs`: float
 * [N, targets], as src/patches/targets.ts says (of 'nodule': a logit). N is free.
 *
 * @param tensors the weights by the names of src/patches/model.ts, in TensorFlow's layouts
 * @throws NoduleError (FORMAT) where a weight is missing
 */
export function buildPatchModel(
  tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>,
  metadata: PatchMetadata,
  o: BuildOptions = {},
): OnnxModel {
  const { hypes } = metadata
  const weights = new Weights(tensors)
  const graph = new GraphBuilder()
  const outputs = emitPatches(graph, hypes, weights, o.foldBatchNorm ?? true)
  graph.output(outputs, 'float', ['N', hypes.targets.length], hypes.targets.join(', '))
  return {
    ir_version: IR_VERSION,
    producer_name: 'nodule',
    producer_version: VERSION,
    opset_import: [{ domain: '', version: OPSET }],
    graph: graph.graph('patches', 'Cubes around marks on CT: nodule or not'),
    metadata_props: patchProps(metadata),
  }
}

function emitPatches(graph: GraphBuilder, hypes: PatchHypes, weights: Weights, fold: boolean): string {
  const { size } = hypes.cube
  const channels = cubePlanes(cubeSpec(hypes))
  const doc = 'gray levels; planes from the feet to the head, the mark in the middle'
  const input = graph.input('cubes', 'uint8', ['N', channels, size, size], doc)
  const backbone = patchGraph(hypes)
  const cubes = { name: emitGray(graph, input, backbone), channels, height: size, width: size }
  const maps = emitBackbone(graph, backbone, cubes, weights, fold)
  const top = maps.get(backbone.top)!
  const means = graph.node('GlobalAveragePool', [top.name], 'head/mean')
  const maxima = graph.node('GlobalMaxPool', [top.name], 'head/max')
  const both = graph.node('Concat', [means, maxima], 'head/pooled', { axis: 1 })
  const flat = graph.node('Flatten', [both], 'head/flat', { axis: 1 })
  const layer = (name: string, from: string): string =>
    dense(graph, from, { ...weights.matrix(`${name}/weights`), bias: weights.vector(`${name}/biases`) }, name)
  const hidden = graph.node('Relu', [layer('head/dense', flat)], 'head/hidden')
  const outputs = hypes.targets.map((target) => layer(`head/${target}`, hidden))
  return graph.node('Concat', outputs, 'outputs', { axis: 1 })
}
