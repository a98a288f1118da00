import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as nodule from '../src/index.js'

/** Every number that a caller may set: what is none, or out of range, is refused and not taken for something else. */
const root = mkdtempSync(join(tmpdir(), 'nodule-numbers-'))
let list: nodule.FrameList
beforeAll(async () => {
  const image = sharp({ create: { width: 96, height: 64, channels: 3, background: '#456' } })
  await image.png().toFile(join(root, 'a.png'))
  const entries = [{ image_path: 'a.png', rects: [{ x1: 1, y1: 1, x2: 9, y2: 9 }] }]
  list = nodule.parseList(entries, join(root, 'list.json'))
  writeFileSync(list.path, JSON.stringify(entries))
})
afterAll(() => rmSync(root, { recursive: true }))

const hypes = nodule.parseHypes({ image_width: 96, image_height: 64, grid_width: 3, grid_height: 2 })
const geometry: Parameters<typeof nodule.linkBoxes>[1] = {
  slicePositions: [0, 1, 2],
  spacing: [1, 1, 1],
  origins: [0, 1, 2].map((z) => [0, 0, z] as const),
  rowDirection: [1, 0, 0],
  columnDirection: [0, 1, 0],
  normal: [0, 0, 1],
} as never
const raw = { boxes: Float32Array.of(1, 1, 9, 9), confidences: Float32Array.of(0.9) }
const box = { x1: 1, y1: 1, x2: 9, y2: 9 }
const scored = { ...box, score: 0.9 }
const pair = { image: 'a', index: 0, truth: [box], detections: [scored] }
const truth = [{ image_path: 'a', rects: [box] }]
const predictions = [{ image_path: 'a', rects: [scored] }]
const curve = nodule.sliceCurve([pair], 0.5)
const froc = [{ threshold: 0.5, falsePositivesPerScan: 0, sensitivity: 1 }]
const series = ['1.2']
const finding = { seriesUid: '1.2', x: 0, y: 0, z: 0, equivalentDiameterMm: 5 } as nodule.Finding
const mark = { seriesUid: '1.2', x: 0, y: 0, z: 0, probability: 0.5 } as nodule.Mark
const drain = async (o: nodule.BatchOptions): Promise<unknown> =>
  nodule.batches(list, hypes, { passes: 1, ...o }).next()
const output = join(root, 'out')
const slices = [{ k: 0, boxes: [scored] }]

type Call = (value: number) => unknown
/** What takes whole numbers from 0 or 1 up. */
const whole: Record<string, Call> = {
  'annotateFolders minReaders': (minReaders) => nodule.annotateFolders([root], { minReaders }),
  'batches seed': (seed) => drain({ seed }),
  'batches startStep': (startStep) => drain({ startStep }),
  'batches ahead': (ahead) => drain({ ahead }),
  'batches workers': (workers) => drain({ workers }),
  'batches cacheBytes': (cacheBytes) => drain({ cacheBytes }),
  'compareAveragePrecision bootstraps': (bootstraps) =>
    nodule.compareAveragePrecision([pair], [pair], { bootstraps }),
  'averagePrecisionInterval seed': (seed) => nodule.averagePrecisionInterval([pair], { seed }),
  'compareCpm bootstraps': (bootstraps) =>
    nodule.compareCpm(series, [finding], [mark], [mark], { bootstraps }),
  'compareCpm maxMarks': (maxMarks) =>
    nodule.compareCpm(series, [finding], [mark], [mark], { bootstraps: 1, maxMarks }),
  'evaluateScans maxMarks': (maxMarks) => nodule.evaluateScans(series, [finding], [mark], { maxMarks }),
  'evaluateScans bootstraps': (bootstraps) => nodule.evaluateScans(series, [finding], [mark], { bootstraps }),
  'evaluateClassification bins': (bins) => nodule.evaluateClassification([true, false], [0.4, 0.6], { bins }),
  'evaluateFiles bootstraps': (bootstraps) =>
    nodule.evaluateFiles({ truth: list.path, predictions: [list.path], bootstraps } as never),
  'writeReport maxPictures': (maxPictures) => nodule.writeReport({ output, maxPictures } as never),
  'writeReport bootstraps': (bootstraps) => nodule.writeReport({ output, bootstraps } as never),
  'writeReport seed': (seed) => nodule.writeReport({ output, seed } as never),
  'channelSlices k': (k) => nodule.channelSlices(geometry, k, 1, 3),
  'channelSlices channels': (channels) => nodule.channelSlices(geometry, 1, 1, channels),
  'checkpointName step': (step) => nodule.checkpointName(step),
  'consensusNodules minReaders': (minReaders) =>
    nodule.consensusNodules({ nodules: [], thickness: 1 } as never, geometry as never, { minReaders }),
  'createDetector seed': (seed) => nodule.createDetector(hypes, seed, { draw: false }),
  'detectFolders jobs': (jobs) => nodule.detectFolders([root], { hypes } as never, { output, jobs } as never),
  'detectFolders batch': (batch) =>
    nodule.detectFolders([root], { hypes } as never, { output, batch } as never),
  'drawBatches count': (count) => nodule.drawBatches(list, hypes, join(root, 's.png'), { count }),
  'drawBatches workers': (workers) => nodule.drawBatches(list, hypes, join(root, 's.png'), { workers }),
  'drawGallery perForm': (perForm) => nodule.drawGallery([root], { output, perForm }),
  'drawGallery minReaders': (minReaders) => nodule.drawGallery([root], { output, minReaders }),
  'drawList count': (count) => nodule.drawList(list, root, count, { low: -1000, high: 400 }),
  'findSeries atOnce': (atOnce) => nodule.findSeries([root], { atOnce }),
  'readSeriesPixels atOnce': (atOnce) => nodule.readSeriesPixels({ slices: [] } as never, { atOnce }),
  'fitFrame frameWidth': (size) => nodule.fitFrame(box, size, 64),
  'fitFrame frameHeight': (size) => nodule.fitFrame(box, 96, size),
  'frameTaps rows': (rows) => nodule.frameTaps(nodule.imageCanvas({ width: 8, height: 8 }), rows, 8),
  'frameTaps columns': (columns) => nodule.frameTaps(nodule.imageCanvas({ width: 8, height: 8 }), 8, columns),
  'makePatient seed': (seed) => nodule.makePatient({ seed }),
  'makePatient matrix': (matrix) => nodule.makePatient({ matrix }),
  'makePatient slices': (count) => nodule.makePatient({ slices: count }),
  'mine maxMarks': (maxMarks) => nodule.mine({ rule: { maxMarks }, session: {} } as never),
  'openSession threads': (threads) => nodule.openSession('none', { threads }),
  'prepareDataset seed': (seed) => nodule.prepareDataset({ hypes, inputs: [root], output, seed } as never),
  'prepareDataset jobs': (jobs) => nodule.prepareDataset({ hypes, inputs: [root], output, jobs } as never),
  'prepareDataset boxes.minReaders': (minReaders) =>
    nodule.prepareDataset({
      ...{ hypes, inputs: [root], annotations: [], output },
      boxes: { ...nodule.DEFAULT_BOX_RULE, minReaders },
    } as never),
  'prepareDataset insertion.count': (count) =>
    nodule.prepareDataset({
      hypes,
      inputs: [root],
      output,
      insertion: { stacks: root, count, variants: 1 },
    } as never),
  'readReferences minReaders': (minReaders) => nodule.readReferences([root], [], { minReaders }),
  setThreads: (count) => nodule.setThreads(count),
  'splitPatients folds': (folds) => nodule.splitPatients([], { kind: 'folds', folds }, 1),
  'splitPatients seed': (seed) =>
    nodule.splitPatients([], { kind: 'fractions', fractions: { train: 1 } }, seed),
  'stitch frameWidth': (frameWidth) => nodule.stitch(raw, { frameWidth, frameHeight: 64 }),
  'stitch frameHeight': (frameHeight) => nodule.stitch(raw, { frameWidth: 96, frameHeight }),
  'tileFrames width': (width) =>
    nodule.tileFrames(nodule.imageCanvas({ width: 96, height: 64 }), width, 64, 0),
  'tileFrames height': (height) =>
    nodule.tileFrames(nodule.imageCanvas({ width: 96, height: 64 }), 96, height, 0),
  'train steps': (steps) => nodule.train({ hypes: 'hypes/tiny.json', train: list.path, output, steps }),
  'train seed': (seed) => nodule.train({ hypes: 'hypes/tiny.json', train: list.path, output, seed }),
  'train workers': (workers) => nodule.train({ hypes: 'hypes/tiny.json', train: list.path, output, workers }),
  'writePhantoms patients': (patients) => nodule.writePhantoms(output, { patients }),
  'writePhantoms jobs': (jobs) => nodule.writePhantoms(output, { jobs }),
}

/** What takes any number of a range of no number below 0. */
const part: Record<string, Call> = {
  'batches passes': (passes) => drain({ passes }),
  'byBoxSize iou': (iou) => nodule.byBoxSize([pair], 0.5, iou),
  'byMeasures iou': (iou) => nodule.byMeasures([pair], 0.5, iou),
  'canvasFrame scale': (scale) => nodule.canvasFrame(box, scale),
  'canvasFrame scaleY': (scale) => nodule.canvasFrame(box, 1, scale),
  'channelSlices neighborMm': (mm) => nodule.channelSlices(geometry, 1, mm, 3),
  'compareAveragePrecision iou': (iou) => nodule.compareAveragePrecision([pair], [pair], { iou }),
  'compareAveragePrecision confidence': (confidence) =>
    nodule.compareAveragePrecision([pair], [pair], { confidence }),
  'consensusNodules agreement': (agreement) =>
    nodule.consensusNodules({ nodules: [], thickness: 1 } as never, geometry as never, { agreement }),
  'detectList minScore': (minScore) =>
    nodule.detectList(list.path, { hypes } as never, output, {
      parameters: { stitch: 'greedy', minScore, overlap: 0.3 },
    }),
  dropOverlapping: (overlap) => nodule.dropOverlapping([scored], overlap),
  'evaluateSlices iou': (iou) => nodule.evaluateSlices(truth, predictions, { iou }),
  'evaluateSlices tau': (tau) => nodule.evaluateSlices(truth, predictions, { tau }),
  'evaluatePairs iou': (iou) => nodule.evaluatePairs([pair], { iou }),
  'evaluateScans confidence': (confidence) => nodule.evaluateScans(series, [finding], [mark], { confidence }),
  'evaluateClassification confidence': (confidence) =>
    nodule.evaluateClassification([true, false], [0.4, 0.6], { confidence }),
  'fitFrame aspect': (aspect) => nodule.fitFrame(box, 96, 64, 0, aspect),
  'linkBoxes maxGapMm': (maxGapMm) => nodule.linkBoxes(slices, geometry, { maxGapMm }),
  'linkBoxes stepMm': (mm) => nodule.linkBoxes(slices, geometry, {}, mm),
  'makePatient spacing': (spacing) => nodule.makePatient({ spacing }),
  'makePatient noise': (noise) => nodule.makePatient({ noise }),
  'mine minScore': (minScore) => nodule.mine({ rule: { minScore }, session: {} } as never),
  'outcomesAt iou': (iou) => nodule.outcomesAt([pair], 0.5, iou),
  'prepareDataset maxThicknessMm': (maxThicknessMm) =>
    nodule.prepareDataset({ hypes, inputs: [root], annotations: [], output, maxThicknessMm } as never),
  'prepareDataset negatives': (negatives) =>
    nodule.prepareDataset({
      ...{ hypes, inputs: [root], annotations: [], output },
      slices: { kind: 'ratio', negatives },
    } as never),
  precisionAtRecall: (target) => nodule.precisionAtRecall(curve, target),
  rankNodules: (confidence) => nodule.rankNodules([], confidence),
  'readReferences minAxialDiameterMm': (minAxialDiameterMm) =>
    nodule.readReferences([root], [], { minAxialDiameterMm }),
  recallAtPrecision: (target) => nodule.recallAtPrecision(curve, target),
  'segmentFolders closingMm': (closingMm) => nodule.segmentFolders([root], { output, closingMm } as never),
  sensitivityAt: (rate) => nodule.sensitivityAt(froc, rate),
  'sliceCurve iou': (iou) => nodule.sliceCurve([pair], iou),
  'splitPatients fraction': (train) =>
    nodule.splitPatients([], { kind: 'fractions', fractions: { train, val: 0.5 } }, 1),
  'stitch minScore': (minScore) => nodule.stitch(raw, { minScore }),
  'stitch overlap': (overlap) => nodule.stitch(raw, { overlap }),
  'stitchTensorBox tau': (tau) => nodule.stitchTensorBox(raw, { columns: 1, cellSize: 32, slots: 1 }, tau),
  'tensorBoxCurve iou': (iou) => nodule.tensorBoxCurve([pair], iou),
  'tileFrames overlap': (overlap) =>
    nodule.tileFrames(nodule.imageCanvas({ width: 96, height: 64 }), 96, 64, overlap),
  'wilson confidence': (confidence) => nodule.wilson(1, 2, confidence),
}

/** What takes any number. */
const any: Record<string, Call> = {
  'evaluateSlices minScore': (minScore) => nodule.evaluateSlices(truth, predictions, { minScore }),
  'evaluateClassification threshold': (threshold) =>
    nodule.evaluateClassification([true, false], [0.4, 0.6], { threshold }),
  'fitFrame margin': (margin) => nodule.fitFrame(box, 96, 64, margin),
  'outcomesAt threshold': (threshold) => nodule.outcomesAt([pair], threshold, 0.5),
}

async function outcome(call: Call, value: unknown): Promise<string> {
  try {
    await call(value as number)
    return 'taken'
  } catch (error) {
    return error instanceof nodule.NoduleError ? error.code : String(error)
  }
}

describe('numbers of the library', () => {
  const cases = [
    ...Object.entries(whole).map(([name, call]) => ({ name, call, wrong: [NaN, -1, 1.5, '3'] })),
    ...Object.entries(part).map(([name, call]) => ({ name, call, wrong: [NaN, -0.5, '0.5'] })),
    ...Object.entries(any).map(([name, call]) => ({ name, call, wrong: [NaN, '0.5'] })),
  ]
  it.each(cases)('$name', async ({ call, wrong }) => {
    const outcomes = await Promise.all(wrong.map(async (value) => outcome(call, value)))
    expect(outcomes).toEqual(wrong.map(() => 'INVALID_PARAMETER'))
  })
})
