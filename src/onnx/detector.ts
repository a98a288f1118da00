import type { Hypes } from '../config/hypes.js'
import { buildBackbone } from '../model/backbones/registry.js'
import { byChannel } from '../model/graph.js'
import type { BackboneGraph, InputScale } from '../model/graph.js'
import { VERSION } from '../version.js'
import { Weights, emitBackbone } from './backbone.js'
import { GraphBuilder, OPSET } from './builder.js'
import { emitDecoder } from './decoder.js'
import { takesAnyFrame } from './frame_size.js'
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
 * rnn_len] in [0, 1]. N is free; so are, where `takesAnyFrame`, height and width, multiples of region_size.
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
  const frames = emitInput(graph, hypes, backbone)
  const maps = emitBackbone(graph, backbone, frames, weights, o.foldBatchNorm ?? true)
  const { boxes, confidences } = emitDecoder(graph, hypes, weights, backbone, maps)
  const cells = takesAnyFrame(hypes) ? 'cells' : hypes.grid_height * hypes.grid_width
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

/** Gray levels to what the backbone takes; see InputScale. */
export function emitGray(
  graph: GraphBuilder,
  input: string,
  { input: scale, channels }: BackboneGraph,
): string {
  const operand = (name: string, values: InputScale['divide']): string => {
    const by = byChannel(values, channels)
    return typeof by === 'number'
      ? graph.scalar(by)
      : graph.constant(`input/${name}`, [1, channels, 1, 1], Float32Array.from(by))
  }
  const cast = graph.node('Cast', [input], 'input/float', { to: DATA_TYPE.float })
  const divided =
    scale.divide === 1 ? cast : graph.node('Div', [cast, operand('divisor', scale.divide)], 'input/divided')
  return graph.node('Sub', [divided, operand('shift', scale.subtract)], 'input/normal')
}

function emitInput(
  graph: GraphBuilder,
  hypes: Hypes,
  backbone: BackboneGraph,
): { name: string; channels: number; height: number; width: number } {
  const [height, width] = [hypes.image_height, hypes.image_width]
  const { channels } = hypes.data
  const input = graph.input(
    'frames',
    'uint8',
    takesAnyFrame(hypes) ? ['N', channels, 'H', 'W'] : ['N', channels, height, width],
    'gray levels; channels: slices from the feet to the head, the slice itself in the middle',
  )
  const name = emitGray(graph, input, backbone)
  return { name, channels, height, width }
}
