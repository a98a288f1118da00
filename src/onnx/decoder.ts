import type { Hypes } from '../config/hypes.js'
import { DECONV_CHANNELS, decoderChannels } from '../model/weights.js'
import type { BackboneGraph } from '../model/graph.js'
import { graphShapes } from '../model/graph.js'
import type { Weights } from './backbone.js'
import type { GraphBuilder } from './builder.js'
import { frameExtent, scalarOf } from './frame_size.js'
import type { Extent, FrameExtent } from './frame_size.js'
import { concatChannels, conv2d, hwioToOihw, pool2d, sliceChannels } from './ops.js'
import type { FeatureMap } from './ops.js'
import { rezoom } from './rezoom.js'

/** As in src/model/decoder.ts. */
const POOLED_FROM = 700
const DECONV_POOL = 5

/** What the emitters of the decoder share. g = grid_height * grid_width cells, r = rnn_len, u = lstm_size. */
interface Context {
  graph: GraphBuilder
  hypes: Hypes
  weights: Weights
  frame: FrameExtent
}

/**
 * Emits everything behind the backbone: decoder, rezoom, final boxes and confidences. It computes what
 * src/model/detector.ts computes, in an order that suits inference: the fixed factors of the hypes are multiplied into
 * the weights, and values of the slots lie as [N, r, g, ...], so that the r different weight matrices of the slots are
 * one batched product. What only training needs (first-stage logits under rezoom) is left out.
 *
 * @returns names of boxes [N, g, r, 4] (x1, y1, x2, y2 in frame pixels) and confidences [N, g, r]
 */
export function emitDecoder(
  graph: GraphBuilder,
  hypes: Hypes,
  weights: Weights,
  backbone: BackboneGraph,
  maps: ReadonlyMap<string, FeatureMap>,
): { boxes: string; confidences: string } {
  const r = hypes.rnn_len
  const context: Context = { graph, hypes, weights, frame: frameExtent(graph, hypes) }
  const channels = decoderChannels(hypes, backbone)
  const top = sliceChannels(graph, maps.get(backbone.top)!, 0, channels.later, 'decoder/top')
  const early = sliceChannels(graph, maps.get(backbone.early)!, 0, channels.early, 'decoder/early')

  // Each cell's features are a row: [N * g, later].
  const coarse = widenCoarse(context, top)
  const last = graph.node('Transpose', [coarse.name], 'decoder/nhwc', { perm: [0, 2, 3, 1] })
  const input = graph.node('Reshape', [last, graph.integers([-1, channels.later])], 'decoder/input')
  const hidden = hypes.use_lstm
    ? emitLstm(context, input, channels.later)
    : [emitInnerProduct(context, input)]
  const slotShape = shapeOfSlot(context)
  const slots = hidden.map((name, k) => graph.node('Reshape', [name, slotShape], `decoder/slot/${k}`))
  const state = r === 1 ? slots[0]! : graph.node('Concat', slots, 'decoder/hidden', { axis: 1 }) // [N, r, g, u]

  const relative = headProduct(context, state, 'box_ip', hypes.box_scale) // [N, r, g, 4]
  let boxes = graph.node('Add', [relative, cellCenters(context)], 'decoder/absolute')
  let logits: string
  if (hypes.use_rezoom) {
    const stride = graphShapes(backbone, hypes.image_height, hypes.image_width).get(backbone.early)!.stride
    const second = emitSecondStage(context, state, boxes, early, stride)
    logits = headProduct(context, second, 'delta_ip2', hypes.rezoom_conf_scale)
    if (hypes.reregress) {
      const deltas = headProduct(context, second, 'delta_ip_boxes', hypes.rezoom_box_scale)
      boxes = graph.node('Add', [boxes, deltas], 'decoder/corrected')
    }
  } else logits = headProduct(context, state, 'conf_ip', 1)

  return { boxes: emitEdges(context, boxes), confidences: emitConfidences(context, logits) }
}

/** [N, 1, g, u], as a vector of the graph: how many of the N * g rows are one frame's. */
function shapeOfSlot({ graph, hypes, frame }: Context): string {
  if (typeof frame.width === 'number')
    return graph.integers([-1, 1, hypes.grid_height * hypes.grid_width, hypes.lstm_size])
  const n = graph.node('Shape', ['frames'], 'frame/count', { start: 0, end: 1 })
  return graph.node('Concat', [n, graph.integers([1, -1, hypes.lstm_size])], 'decoder/slot_shape', {
    axis: 0,
  })
}

/** The same as widenCoarse of src/model/decoder.ts. */
function widenCoarse({ graph, hypes, weights }: Context, top: FeatureMap): FeatureMap {
  const { channels, height, width } = top
  if (hypes.deconv) {
    const { shape, data } = weights.get('deconv/conv', 4)
    const down = conv2d(
      graph,
      top,
      { shape: shape as [number, number, number, number], data },
      { name: 'deconv', stride: 2, padding: 'same', activation: 'none', fold: false },
    )
    const made = Math.min(DECONV_CHANNELS, channels)
    const mixed = poolChannels(graph, down, 0, made, DECONV_POOL)
    // TensorFlow has [kh, kw, out, in], ONNX [in, out, kh, kw]: the same turn as for a convolution.
    const filter = weights.get('deconv/transposed', 4)
    const turned = hwioToOihw(filter.data, filter.shape as [number, number, number, number])
    const up = graph.node(
      'ConvTranspose',
      [mixed.name, graph.constant('deconv/transposed', [channels, made, 2, 2], turned)],
      'deconv/up',
      { kernel_shape: [2, 2], strides: [2, 2] },
    )
    const inputs = [up, [0, 0], [height, width], [2, 3]]
    const name = graph.node(
      'Slice',
      inputs.map((value) => (typeof value === 'string' ? value : graph.integers(value))),
      'deconv/cut',
    )
    const cut = { name, channels: made, height, width }
    if (made === channels) return cut
    return concatChannels(
      graph,
      [cut, sliceChannels(graph, top, made, channels, 'deconv/kept')],
      'deconv/all',
    )
  }
  if (hypes.avg_pool_size > 1 && channels > POOLED_FROM)
    return poolChannels(graph, top, POOLED_FROM, channels, hypes.avg_pool_size)
  return top
}

function poolChannels(
  graph: GraphBuilder,
  x: FeatureMap,
  first: number,
  end: number,
  size: number,
): FeatureMap {
  const part = sliceChannels(graph, x, first, end, 'widen/part')
  const parts = [pool2d(graph, part, { name: 'widen/pool', kind: 'average', size, stride: 1 })]
  if (first > 0) parts.unshift(sliceChannels(graph, x, 0, first, 'widen/before'))
  if (end < x.channels) parts.push(sliceChannels(graph, x, end, x.channels, 'widen/behind'))
  return parts.length === 1 ? parts[0]! : concatChannels(graph, parts, 'widen/joined')
}

/** One fully connected layer in place of the LSTM. */
function emitInnerProduct({ graph, hypes, weights }: Context, input: string): string {
  const { shape, data } = weights.matrix('decoder/ip')
  return graph.node(
    'MatMul',
    [input, graph.constant('decoder/ip', shape, scaled(data, hypes.lstm_input_scale))],
    'decoder/inner_product',
  )
}

/** The LSTM, unrolled over its r steps; the weights are shared constants. Returns r names of [N * g, u]. */
function emitLstm({ graph, hypes, weights }: Context, input: string, later: number): string[] {
  const u = hypes.lstm_size
  const layers = Array.from({ length: hypes.num_lstm_layers }, (_, index) => {
    const path = `decoder/lstm/layer_${index}`
    const { shape, data } = weights.matrix(`${path}/kernel`)
    const width = index === 0 ? later : u
    const split = width * shape[1]
    const factor = index === 0 ? hypes.lstm_input_scale : 1
    return {
      path,
      fromInput: graph.constant(
        `${path}/from_input`,
        [width, 4 * u],
        scaled(data.subarray(0, split), factor),
      ),
      // Made when it is used: with one step it never is.
      fromState: () => graph.constant(`${path}/from_state`, [u, 4 * u], data.slice(split)),
      bias: graph.constant(`${path}/bias`, [4 * u], weights.vector(`${path}/bias`)),
      cell: undefined as string | undefined,
      hidden: undefined as string | undefined,
    }
  })
  // The first layer reads the same input at every step: its share of the gates is computed once.
  const repeated = graph.node('Gemm', [input, layers[0]!.fromInput, layers[0]!.bias], 'decoder/lstm/repeated')
  return Array.from({ length: hypes.rnn_len }, (_, step) => {
    let below: string | undefined
    for (const layer of layers) {
      const name = `${layer.path}/step_${step}`
      let gates =
        below === undefined
          ? repeated
          : graph.node('Gemm', [below, layer.fromInput, layer.bias], `${name}/from_input`)
      // The state starts at 0.
      if (layer.hidden !== undefined)
        gates = graph.node('Gemm', [layer.hidden, layer.fromState(), gates], `${name}/gates`)
      const [entry, fresh, forget, exit] = graph.nodes(
        'Split',
        [gates],
        ['entry', 'fresh', 'forget', 'exit'].map((gate) => `${name}/${gate}`),
        { axis: 1 },
      ) as [string, string, string, string]
      const sigmoid = (gate: string): string => graph.node('Sigmoid', [gate], `${gate}/open`)
      const written = graph.node(
        'Mul',
        [sigmoid(entry), graph.node('Tanh', [fresh], `${fresh}/value`)],
        `${name}/written`,
      )
      layer.cell =
        layer.cell === undefined
          ? written
          : graph.node(
              'Add',
              [graph.node('Mul', [layer.cell, sigmoid(forget)], `${name}/kept`), written],
              `${name}/cell`,
            )
      layer.hidden = graph.node(
        'Mul',
        [graph.node('Tanh', [layer.cell], `${name}/cell/value`), sigmoid(exit)],
        `${name}/hidden`,
      )
      below = layer.hidden
    }
    return below!
  })
}

/** Early features at the predicted boxes, with the hidden vector, to 128 units: [N, r, g, 128]. */
function emitSecondStage(
  { graph, hypes, weights, frame }: Context,
  state: string,
  boxes: string,
  early: FeatureMap,
  stride: number,
): string {
  const r = hypes.rnn_len
  const u = hypes.lstm_size
  const flat = graph.node('Reshape', [boxes, graph.integers([0, -1, 4])], 'rezoom/boxes')
  const offsets = { x: hypes.rezoom_w_coords, y: hypes.rezoom_h_coords, stride }
  const sampled = rezoom(graph, early, flat, offsets, frame, 'rezoom/features')
  const width = offsets.x.length * offsets.y.length * early.channels
  const seen = graph.node('Reshape', [sampled, graph.integers([0, r, -1, width])], 'rezoom/seen')

  // Rows 0..u of each slot's matrix belong to the hidden vector, the others to the samples.
  const matrices = slotWeights(weights, 'delta_ip1', r)
  const units = matrices[0]!.shape[1]
  const fromState = joined(matrices.map(({ data }) => data.subarray(0, u * units)))
  const fromSamples = scaled(
    joined(matrices.map(({ data }) => data.subarray(u * units))),
    hypes.rezoom_feature_scale,
  )
  const sum = graph.node(
    'Add',
    [
      graph.node(
        'MatMul',
        [state, graph.constant('rezoom/from_state', [r, u, units], fromState)],
        'rezoom/state',
      ),
      graph.node(
        'MatMul',
        [seen, graph.constant('rezoom/from_samples', [r, width, units], fromSamples)],
        'rezoom/samples',
      ),
    ],
    'rezoom/sum',
  )
  return graph.node('Relu', [sum], 'rezoom/hidden')
}

/** [N, r, g, in] times each slot's matrix `decoder/${name}/k` [in, out]: [N, r, g, out]. */
function headProduct({ graph, hypes, weights }: Context, x: string, name: string, factor: number): string {
  const matrices = slotWeights(weights, name, hypes.rnn_len)
  const data = scaled(joined(matrices.map((matrix) => matrix.data)), factor)
  const constant = graph.constant(`decoder/${name}`, [hypes.rnn_len, ...matrices[0]!.shape], data)
  return graph.node('MatMul', [x, constant], `decoder/${name}/product`)
}

function slotWeights(
  weights: Weights,
  name: string,
  r: number,
): { shape: readonly [number, number]; data: Float32Array }[] {
  return Array.from({ length: r }, (_, k) => weights.matrix(`decoder/${name}/${k}`))
}

/** Centers of the cells, [1, 1, g, 4]: x, y, 0, 0 in frame pixels. */
function cellCenters({ graph, hypes, frame }: Context): string {
  const { grid_width: width, region_size: size } = hypes
  if (typeof frame.width === 'number') {
    const cells = width * hypes.grid_height
    const values = new Float32Array(cells * 4)
    for (let cell = 0; cell < cells; cell++) {
      values[4 * cell] = ((cell % width) + 0.5) * size
      values[4 * cell + 1] = (Math.floor(cell / width) + 0.5) * size
    }
    return graph.constant('decoder/cell_centers', [1, 1, cells, 4], values)
  }
  /** The centers along one axis, times a unit vector: [..., cells, ..., 4]. */
  const axis = (extent: Extent, name: string, dims: readonly number[], unit: readonly number[]): string => {
    const range = [graph.scalar(0), scalarOf(graph, extent), graph.scalar(size)]
    const edges = graph.node('Range', range, `decoder/cells/${name}/edges`)
    const centers = graph.node('Add', [edges, graph.scalar(size / 2)], `decoder/cells/${name}/centers`)
    const shaped = graph.node('Reshape', [centers, graph.integers(dims)], `decoder/cells/${name}/shaped`)
    const direction = graph.constant(`decoder/cells/${name}/unit`, [4], Float32Array.from(unit))
    return graph.node('Mul', [shaped, direction], `decoder/cells/${name}`)
  }
  const x = axis(frame.width, 'x', [1, -1, 1], [1, 0, 0, 0])
  const y = axis(frame.height, 'y', [-1, 1, 1], [0, 1, 0, 0])
  const grid = graph.node('Add', [y, x], 'decoder/cells')
  return graph.node('Reshape', [grid, graph.integers([1, 1, -1, 4])], 'decoder/cell_centers')
}

/** cx, cy, w, h [N, r, g, 4] to x1, y1, x2, y2 [N, g, r, 4]; the change is linear, so it is one product. */
function emitEdges({ graph, hypes }: Context, boxes: string): string {
  const matrix = Float32Array.of(1, 0, 1, 0, 0, 1, 0, 1, -0.5, 0, 0.5, 0, 0, -0.5, 0, 0.5)
  const byCell = graph.node('Transpose', [boxes], 'decoder/by_cell', { perm: [0, 2, 1, 3] })
  const factors = graph.constant('decoder/to_edges', [4, 4], matrix)
  const margin = hypes.box_margin_px
  if (margin === 0) return graph.node('MatMul', [byCell, factors], 'boxes')
  const edges = graph.node('MatMul', [byCell, factors], 'decoder/edges')
  const outwards = Float32Array.of(-margin, -margin, margin, margin)
  return graph.node('Add', [edges, graph.constant('decoder/margin', [4], outwards)], 'boxes')
}

/** Logits [N, r, g, classes] to 1 - P(background) [N, g, r]. */
function emitConfidences({ graph, hypes }: Context, logits: string): string {
  const byCell = graph.node('Transpose', [logits], 'decoder/logits_by_cell', { perm: [0, 2, 1, 3] })
  const probabilities = graph.node('Softmax', [byCell], 'decoder/probabilities', { axis: -1 })
  const background = graph.node('Gather', [probabilities, graph.integers([0])], 'decoder/background', {
    axis: 3,
  })
  const flat = graph.node('Reshape', [background, graph.integers([0, -1, hypes.rnn_len])], 'decoder/flat')
  return graph.node('Sub', [graph.scalar(1), flat], 'confidences')
}

function scaled(data: Float32Array, factor: number): Float32Array {
  return data.map((value) => value * factor)
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const result = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    result.set(part, at)
    at += part.length
  }
  return result
}
