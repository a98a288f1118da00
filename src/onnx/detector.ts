import type { Hypes } from '../config/hypes.js'
import { buildBackbone } from '../model/backbones.js'
import { VERSION } from '../version.js'
import { Weights, emitBackbone } from './backbone.js'
import { GraphBuilder, OPSET } from './builder.js'
import { emitDecoder } from './decoder.js'
import { metadataProps } from './metadata.js'
import type { ModelMetadata } from './metadata.js'
import { DATA_TYPE } from './proto.js'
import type { OnnxModel } from './proto.js'

/** IR version 8 belongs to operator set 17. */
export const IR_VERSION = 8

export interface BuildOptions {
  /** Multiply batch norm into the convolutions (default): the same result with fewer nodes. */
  foldBatchNorm?: boolean
}

/**
 * The whole detector as one ONNX model.
 *
 * Input `frames`: uint8 [N, data.channels, image_height, image_width], gray levels of the slice and those around it.
 * Outputs `boxes`: float [N, cells, rnn_len, 4], x1, y1, x2, y2 in frame pixels, and `confidences`: float [N, cells,
 * rnn_len] in [0, 1]. N is free.
 *
 * @param tensors the weights by the names of src/model, in TensorFlow's layouts
 * @throws NoduleError (FORMAT) where a weight is missing
 */
export function buildModel(
  tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>,
  metadata: ModelMetadata,
  o: BuildOptions = {},
): OnnxModel {
  const { hypes } = metadata
  const backbone = buildBackbone(hypes)
  const weights = new Weights(tensors)
  const graph = new GraphBuilder()
  const frames = emitInput(graph, hypes)
  const maps = emitBackbone(graph, backbone, frames, weights, o.foldBatchNorm ?? true)
  const { boxes, confidences } = emitDecoder(graph, hypes, weights, backbone, maps)
  const cells = hypes.grid_height * hypes.grid_width
  graph.output(boxes, 'float', ['N', cells, hypes.rnn_len, 4], 'x1, y1, x2, y2 in frame pixels')
  graph.output(confidences, 'float', ['N', cells, hypes.rnn_len], '1 - P(background)')
  return {
    ir_version: IR_VERSION,
    producer_name: 'nodule',
    producer_version: VERSION,
    opset_import: [{ domain: '', version: OPSET }],
    graph: graph.graph('detector', 'Pulmonary nodules on 2.5-D CT frames'),
    metadata_props: metadataProps(metadata),
  }
}

/** Gray levels to [-1, 1]: gray / 127.5 - 1. */
export function emitGray(graph: GraphBuilder, input: string): string {
  const cast = graph.node('Cast', [input], 'input/float', { to: DATA_TYPE.float })
  const divided = graph.node('Div', [cast, graph.scalar(127.5)], 'input/divided')
  return graph.node('Sub', [divided, graph.scalar(1)], 'input/normal')
}

function emitInput(
  graph: GraphBuilder,
  hypes: Hypes,
): { name: string; channels: number; height: number; width: number } {
  const [height, width] = [hypes.image_height, hypes.image_width]
  const { channels } = hypes.data
  const input = graph.input(
    'frames',
    'uint8',
    ['N', channels, height, width],
    'gray levels; channels: slices from the feet to the head, the slice itself in the middle',
  )
  const name = emitGray(graph, input)
  return { name, channels, height, width }
}
