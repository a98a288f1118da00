import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { createRandom } from '../../src/random.js'
import { EventWriter } from '../../src/training/events.js'
import { describeHypes, histogram, image, prCurve } from '../../src/training/summaries.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-summaries-'))
afterAll(() => rmSync(folder, { recursive: true }))

// What tensorboard 2.21.0 read in the fixture, which was written by the calls of the test below:
//   from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
//   a = EventAccumulator(folder); a.Reload()
//   a.Images(tag) -> step, width, height; a.Histograms(tag) -> step, num, min, max, sum, sum_squares, bucket_limit, bucket
//   a.Tensors(tag) -> step, shape; make_ndarray(a.Tensors('test/pr_curve')[0].tensor_proto)[:, [0, 50, 90, 100]]
//   a.PluginTagToContent('text' | 'pr_curves' | 'hparams'); HParamsPluginData.FromString(...)
const FIXTURES = 'test/fixtures/training'

describe('summaries', () => {
  it('are what TensorBoard has read', async () => {
    const writer = await EventWriter.create(join(folder, 'events.out.tfevents.2'), 0, 1000)
    const png = readFileSync(join(FIXTURES, 'dot.png'))
    const points = [
      { threshold: 0.9, tp: 1, fp: 0, fn: 3 },
      { threshold: 0.5, tp: 2, fp: 2, fn: 2 },
    ]
    const head = describeHypes(
      { lstm_size: 16, solver: { opt: 'Adam', use_jitter: true } },
      ['test/ap'],
      1000,
    )
    await writer.write(0, head, 1000)
    await writer.write(
      50,
      [
        histogram('weights/w', [-2, -1.05, 0, 0, 1, 1.05, 30, Number.NaN]),
        image('test/pred_boxes', { width: 4, height: 2, png }),
        prCurve('test/pr_curve', points, 4),
      ],
      1001,
    )
    expect(readFileSync(writer.path).equals(readFileSync(join(FIXTURES, 'events.out.tfevents.2')))).toBe(true)
    const read = JSON.parse(readFileSync(join(FIXTURES, 'tensorboard_2.json'), 'utf8')) as Record<
      string,
      unknown
    >
    expect(read['images']).toEqual({ 'test/pred_boxes': [[50, 4, 2]] })
    const [[step, num, min, max, sum, squares, limits, counts]] = (
      read['histograms'] as {
        'weights/w': [[number, number, number, number, number, number, number[], number[]]]
      }
    )['weights/w']
    expect([step, num, min, max]).toEqual([50, 7, -2, 30])
    expect(sum).toBeCloseTo(29, 5)
    expect(squares).toBeCloseTo(4 + 2 * 1.1025 + 1 + 900, 3)
    expect(counts.reduce((a, b) => a + b, 0)).toBe(7)
    // Each value lies in its bucket: [the limit before, its limit).
    const bucketOf = (value: number): number => counts[limits.findIndex((limit) => value < limit)]!
    expect([-2, -1.05, 0, 30].map(bucketOf)).toEqual([1, 1, 2, 1])
    expect(limits).toEqual([...limits].sort((a, b) => a - b))
    expect(read['pr_curve']).toEqual([
      [2, 2, 1, 0],
      [2, 2, 0, 0],
      [0, 0, 0, 0],
      [2, 2, 3, 4],
      [0.5, 0.5, 1, 1],
      [0.5, 0.5, 0.25, 0],
    ])
    expect(read['plugins']).toEqual({
      text: ['hypes'],
      pr_curves: ['test/pr_curve'],
      hparams: ['_hparams_/experiment', '_hparams_/session_start_info'],
    })
    expect(read['hparams']).toEqual({ lstm_size: 16, 'solver.opt': 'Adam', 'solver.use_jitter': true })
    expect(read['metrics']).toEqual(['test/ap'])
    // A row for each run, and the columns that the table opens with.
    expect(read['group']).toBe('')
    expect(read['differs']).toEqual(['solver.opt'])
  })
  it('count each value between its limits, of any size', () => {
    const random = createRandom(5)
    const values = Array.from(
      { length: 3000 },
      () => (random.uniform() - 0.5) * 10 ** (random.uniform() * 60 - 30),
    )
    // Limits themselves, and what has no size.
    const limits = [1e-12, 1e-12 * 1.1, 1e-12 * 1.1 * 1.1]
    values.push(0, -0, 1e-45, -1e-45, 3.4e38, -3.4e38, 1e39, Infinity, ...limits, ...limits.map((v) => -v))
    const { histo } = histogram('w', values) as unknown as {
      histo: { num: number; bucket_limit: number[]; bucket: number[] }
    }
    expect(histo.num).toBe(values.length - 1)
    let before = -Infinity
    for (const [n, limit] of histo.bucket_limit.entries()) {
      // Below 0 the limits are the mirrored ones: a value belongs to the bucket that it bounds from above.
      const inside = values.filter((value) =>
        limit <= 0 && value < 0 ? value > before && value <= limit : value >= before && value < limit,
      )
      expect(inside.length, `to ${limit}`).toBe(histo.bucket[n])
      before = limit
    }
  })
})
