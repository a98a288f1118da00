import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writePng } from '../../src/formats/images.js'
import type { EvaluatedEntry } from '../../src/evaluation/index.js'
import { createRandom } from '../../src/random.js'

/** A made-up run: 12 slices, seeded boxes, one scan's detections, a log. */
export async function makeRun(
  run: string,
): Promise<{ truth: EvaluatedEntry[]; predictions: EvaluatedEntry[] }> {
  mkdirSync(join(run, 'data', 'frames'), { recursive: true })
  mkdirSync(join(run, 'detections'))
  const random = createRandom(11)
  const truth: EvaluatedEntry[] = []
  const predictions: EvaluatedEntry[] = []
  for (let i = 0; i < 12; i++) {
    const name = `frames/slice-${i}.png`
    const gray = 40 + 10 * i
    const data = new Uint8Array(64 * 48 * 3).fill(gray)
    await writePng(join(run, 'data', name), { width: 64, height: 48, data })
    const box = (): EvaluatedEntry['rects'][number] => {
      const x = random.integer(40)
      const y = random.integer(28)
      return { x1: x, y1: y, x2: x + 8 + random.integer(8), y2: y + 8 + random.integer(8) }
    }
    const rects = Array.from({ length: random.integer(3) }, box)
    const found = rects.map((rect) => ({ ...rect, x1: rect.x1 + random.integer(4), score: random.uniform() }))
    const wrong = Array.from({ length: random.integer(3) }, () => ({ ...box(), score: random.uniform() / 2 }))
    const excluded = [{ x1: 0, y1: 0, x2: 20, y2: 20 }, ...wrong.slice(0, i % 2)]
    truth.push({ image_path: name, rects, nodule: { patientId: `P${i % 3}`, k: i, excluded } as never })
    predictions.push({ image_path: join(run, 'data', name), rects: [...found, ...wrong] })
  }
  const nodule = (id: number, x: number, confidence: number): object => ({
    id,
    center: [x, 0, 0],
    centerVoxel: [3, 10, 10],
    boxDiameterMm: 8 + id,
    extentMm: 8,
    confidence,
    slices: [2, 4],
    box: { x1: 5, y1: 5, x2: 15, y2: 15 },
  })
  const detections = {
    format: 'nodule-detections/1',
    patientId: 'TEST-<1>',
    studyInstanceUid: '1.2',
    seriesInstanceUid: '1.2.3',
    model: {
      path: 'model.onnx',
      sha256: 'f'.repeat(64),
      step: 500,
      codeVersion: '0.1.0',
      precision: 'float32',
    },
    versions: { nodule: '0.1.0', onnxruntime: '1.30.0', node: '20' },
    device: 'cpu',
    parameters: { minScore: 0.1 },
    slices: [],
    nodules: [nodule(1, 0, 0.9), nodule(2, 100, 0.6), nodule(3, 50, 0.2)],
    timing: { total: 1500 },
    warnings: [],
  }
  const save = (name: string, value: unknown): void =>
    writeFileSync(join(run, name), typeof value === 'string' ? value : JSON.stringify(value))
  save('data/test.json', truth)
  save('predictions.json', predictions)
  save('detections/1.2.3.json', detections)
  save('detections/notes.json', { format: 'something else' })
  save('hypes.json', { solver: { rnd_seed: 42 } })
  const entry = (step: number): string =>
    JSON.stringify({ step, lr: 0.001, loss: 5 / step, box: 1 / step, testAccuracy: 0.9, msPerImage: 200 })
  save('log.jsonl', [10, 20, 30, 40].map(entry).join('\n') + '\n{"step": 50, "lo')
  save('reference.csv', 'seriesuid,coordX,coordY,coordZ,diameter_mm\n1.2.3,1,0,0,10\n1.2.3,200,0,0,10\n')
  return { truth, predictions }
}
