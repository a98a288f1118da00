import * as ort from 'onnxruntime-node'
import { GraphBuilder, OPSET } from '../../src/onnx/builder.js'
import { encodeModel } from '../../src/onnx/proto.js'

/** Builds a graph with one input `x` of the given shape (N first) and runs it in onnxruntime on `data`. */
export async function runGraph(
  shape: readonly number[],
  data: Float32Array,
  build: (graph: GraphBuilder) => string,
): Promise<{ dims: readonly number[]; data: Float32Array }> {
  const graph = new GraphBuilder()
  graph.input('x', 'float', ['N', ...shape.slice(1)])
  const name = build(graph)
  graph.output(name, 'float', [])
  const model = encodeModel({
    ir_version: 8,
    producer_name: 'test',
    producer_version: '',
    opset_import: [{ domain: '', version: OPSET }],
    graph: graph.graph('test'),
    metadata_props: [],
  })
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 })
  try {
    const results = await session.run({ x: new ort.Tensor('float32', data, shape) })
    const value = results[name]!
    return { dims: value.dims, data: value.data as Float32Array }
  } finally {
    await session.release()
  }
}
