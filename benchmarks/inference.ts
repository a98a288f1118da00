/** A scan from its folder to nodules: the stages of `nodule detect`, with seeded random weights. */
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { readHypes } from '../src/config/hypes.js'
import type { Hypes } from '../src/config/hypes.js'
import { hypesWindow, lungFrame, renderSliceFrames } from '../src/dataset/index.js'
import type { FrameStyle } from '../src/dataset/index.js'
import { findSeries } from '../src/dicom/index.js'
import type { Series } from '../src/dicom/index.js'
import { detectVolume, openSession } from '../src/inference/index.js'
import { buildBackbone } from '../src/model/backbones/registry.js'
import { graphShapes } from '../src/model/graph.js'
import { decoderChannels, initialValues, weightSpecs } from '../src/model/weights.js'
import { GraphBuilder, OPSET } from '../src/onnx/builder.js'
import { quantizeWithFrames } from '../src/onnx/calibrate.js'
import { buildModel } from '../src/onnx/detector.js'
import { encodeModel } from '../src/onnx/proto.js'
import type { OnnxModel } from '../src/onnx/proto.js'
import { makePatient, writePatient } from '../src/phantom/index.js'
import { PACKAGE_ROOT } from '../src/version.js'
import { loadVolume, segmentLungs } from '../src/volume/index.js'
import { makeRow, measureTogether, summarize } from './measure.js'
import type { Row, Subject, SubjectOptions } from './types.js'

const name = 'inference'
const MODELS = ['tiny', 'lstm_rezoom_lung']

/** A real scan below NODULE_DATA, else a phantom of the same size. */
async function benchSeries(folder: string): Promise<{ label: string; series: Series }> {
  const root = process.env['NODULE_DATA']
  if (root !== undefined && root !== '') {
    const { series } = await findSeries([join(root, 'lidc-idri-0001')])
    if (series[0] !== undefined) return { label: 'LIDC-IDRI-0001', series: series[0] }
  }
  await writePatient(folder, makePatient({ seed: 1 }))
  const { series } = await findSeries([folder])
  return { label: 'phantom', series: series[0]! }
}

function randomModel(hypes: Hypes): OnnxModel {
  const specs = weightSpecs(hypes, buildBackbone(hypes))
  const tensors = new Map(
    specs.map((spec) => [spec.name, { shape: spec.shape, data: initialValues(spec, 1) }]),
  )
  return buildModel(tensors, {
    hypes,
    step: 0,
    seed: 1,
    codeVersion: '',
    checkpointSha256: '',
    precision: 'float32',
  })
}

/** Multiply-adds of one frame. */
function multiplyAdds(hypes: Hypes): number {
  const backbone = buildBackbone(hypes)
  const shapes = graphShapes(backbone, hypes.image_height, hypes.image_width)
  let sum = 0
  for (const node of backbone.nodes) {
    if (node.op !== 'conv') continue
    const { height, width } = shapes.get(node.name)!
    sum += node.kernel[0] * node.kernel[1] * shapes.get(node.input)!.channels * node.filters * height * width
  }
  const { later, early } = decoderChannels(hypes, backbone)
  const { lstm_size: u, rnn_len: r, num_lstm_layers: layers } = hypes
  const samples = hypes.rezoom_w_coords.length * hypes.rezoom_h_coords.length
  const lstm = 4 * u * (later + (r - 1) * u + (layers - 1) * (2 * r - 1) * u)
  const second = r * (u + samples * early + hypes.num_classes + 4) * 128
  return sum + hypes.grid_height * hypes.grid_width * (lstm + second)
}

/** Multiply-adds a millisecond of onnxruntime on a large matrix product: what a network could reach at best. */
async function peakRate(threads: number): Promise<number> {
  const n = 1024
  const graph = new GraphBuilder()
  graph.input('x', 'float', [n, n])
  const y = graph.node('MatMul', ['x', graph.constant('w', [n, n], new Float32Array(n * n).fill(0.5))], 'y')
  graph.output(y, 'float', [n, n])
  const bytes = encodeModel({
    ir_version: 8,
    producer_name: 'nodule',
    producer_version: '',
    opset_import: [{ domain: '', version: OPSET }],
    graph: graph.graph('peak'),
    metadata_props: [],
  })
  const session = await ort.InferenceSession.create(bytes, { intraOpNumThreads: threads })
  const x = new ort.Tensor('float32', new Float32Array(n * n).fill(0.25), [n, n])
  const { product } = await measureTogether({ product: () => session.run({ x }) }, 0.5)
  await session.release()
  return n ** 3 / product.ms
}

/** Reads the same bytes and does nothing with them: the floor of reading. */
async function readRaw(series: Series): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < series.slices.length) {
      const { path, pixelData } = series.slices[next++]!
      const handle = await open(path)
      const length = pixelData?.length ?? (await handle.stat()).size
      await handle.read(new Uint8Array(length), 0, length, pixelData?.offset ?? 0)
      await handle.close()
    }
  }
  await Promise.all(Array.from({ length: 8 }, worker))
}

async function run({ seconds }: SubjectOptions): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'nodule-bench-'))
  try {
    const { label, series } = await benchSeries(folder)
    const rows: Row[] = []
    for (const model of MODELS) rows.push(...(await benchModel(model, folder, label, series, seconds)))
    return rows
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function benchModel(
  model: string,
  folder: string,
  label: string,
  series: Series,
  seconds: number,
): Promise<Row[]> {
  const hypes = readHypes(join(PACKAGE_ROOT, 'hypes', `${model}.json`))
  const float = randomModel(hypes)
  const path = join(folder, `${model}.onnx`)
  await writeFile(path, encodeModel(float))
  const session = await openSession(path, { device: 'cpu' })

  let volume = await loadVolume(series)
  const lungs = segmentLungs(volume)
  const style: FrameStyle = {
    mapping: lungFrame(volume, lungs, hypes),
    window: hypesWindow(hypes),
    neighborMm: hypes.data.neighbor_mm,
    channels: hypes.data.channels,
    layout: 'NCHW',
  }
  const [first, end] = lungs.box.z
  const count = end - first
  const some = Array.from({ length: 16 }, (_, n) => first + Math.floor((n * count) / 16))
  const rendered = await renderSliceFrames(volume, some, style)
  const frameSize = rendered.length / some.length
  const frames = some.map((_, n) => rendered.subarray(n * frameSize, (n + 1) * frameSize))
  const int8Path = join(folder, `${model}-int8.onnx`)
  await writeFile(int8Path, encodeModel((await quantizeWithFrames(float, frames)).model))
  const int8 = await openSession(int8Path, { device: 'cpu' })

  const everyFrame = async (on: typeof session): Promise<void> => {
    for (const frame of frames) await on.run(frame, 1)
  }
  const stages: Record<string, number[]> = {}
  const timing = await measureTogether(
    {
      scan: async () => {
        const start = performance.now()
        volume = await loadVolume(series, { reuse: volume.data })
        const read = performance.now() - start
        const detected = await detectVolume(volume, session)
        for (const [stage, ms] of Object.entries({ read, ...detected.timing }))
          (stages[stage] ??= []).push(ms)
      },
      headers: () => findSeries(series.slices.map((slice) => slice.path)),
      raw: () => readRaw(series),
      network: () => everyFrame(session),
      int8: () => everyFrame(int8),
    },
    2 * seconds,
    { minRuns: 3 },
  )
  const rate = await peakRate(session.threads)
  await session.release()
  await int8.release()
  const title = (stage: string): string => `${model}, ${label} (${series.slices.length} slices): ${stage}`
  const work = multiplyAdds(hypes)
  // The first runs warm up.
  const stage = (key: string, what: string, floor_ms: number | null = null): Row =>
    makeRow(name, title(what), summarize(stages[key]!.slice(1)), 'whole scan', timing.scan.ms, { floor_ms })
  return [
    makeRow(name, title('whole scan'), timing.scan, '-', null, { goal: '< 10 s' }),
    makeRow(name, title('headers, before it'), timing.headers, 'whole scan', timing.scan.ms),
    stage('read', 'read and HU', timing.raw.ms),
    stage('lungs', 'lungs'),
    stage('render', 'wait for frames'),
    stage('network', `network, ${count} frames`, (work * count) / rate),
    stage('stitch', 'stitch'),
    stage('link', 'link'),
    makeRow(name, title('network int8, 16 frames'), timing.int8, 'float32', timing.network.ms),
  ]
}

export const subject: Subject = {
  describe: 'nodule detect, stage by stage: ratio = share of the whole scan, inverted',
  run,
}
