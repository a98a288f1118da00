/** What TensorBoard shows, as the values of Event messages: see event_schema.ts for their fields. */
import { HParamsPluginData, PrCurvePluginData } from './event_schema.js'

/** One value of a Summary message. */
export interface SummaryValue {
  tag: string
  [field: string]: unknown
}

/** A picture, [height, width, 3]. */
export interface Picture {
  width: number
  height: number
  /** PNG. */
  png: Uint8Array
}

export function scalar(tag: string, value: number): SummaryValue {
  return { tag, simple_value: value }
}

export function image(tag: string, { width, height, png }: Picture): SummaryValue {
  return { tag, image: { width, height, colorspace: 3, encoded_image_string: png } }
}

/** Upper limits of TensorFlow's histogram buckets above 0: each 1.1 times the one before. */
const LIMITS = (() => {
  const limits: number[] = []
  for (let limit = 1e-12; limit < 1e20; limit *= 1.1) limits.push(limit)
  return [...limits, Number.MAX_VALUE]
})()

const single = new Float32Array(1)
const bits = new Uint32Array(single.buffer)

/** The bucket of each float32 by its upper 16 bits, the lower ones 0: these span 0.8 %, so at most one limit. */
const START = Uint16Array.from({ length: 0x7f81 }, (_, upper) => {
  bits[0] = upper << 16
  const size = single[0]!
  return size >= LIMITS.at(-1)! ? LIMITS.length - 1 : LIMITS.findIndex((limit) => limit > size)
})

/** Where |value| lies among LIMITS: the first limit above it. */
function bucketOf(size: number): number {
  single[0] = size
  // The sign aside: -0 has one.
  let at = START[(bits[0]! & 0x7fffffff) >>> 16]!
  while (at > 0 && LIMITS[at - 1]! > size) at--
  while (at < LIMITS.length - 1 && LIMITS[at]! <= size) at++
  return at
}

/** A histogram as TensorFlow counts it; what is not a number is left out. */
export function histogram(tag: string, values: ArrayLike<number>): SummaryValue {
  // Buckets of values below 0, the farthest first, then of those from 0 on.
  const counted = new Float64Array(2 * LIMITS.length)
  let [min, max, num, sum, squares] = [Infinity, -Infinity, 0, 0, 0]
  for (let n = 0; n < values.length; n++) {
    const value = values[n]!
    if (!Number.isFinite(value)) continue
    if (value < min) min = value
    if (value > max) max = value
    num++
    sum += value
    squares += value * value
    counted[LIMITS.length + (value < 0 ? -1 - bucketOf(-value) : bucketOf(value))]!++
  }
  const full = [...counted.keys()].filter((place) => counted[place]! > 0)
  // A bucket without counts stands before each run of full ones: the limits before it say where these begin.
  const upper = (bucket: number): number =>
    bucket >= 0 ? LIMITS[bucket]! : bucket === -1 ? 0 : -LIMITS[-2 - bucket]!
  const limits: number[] = []
  const buckets: number[] = []
  let before: number | undefined
  for (const place of full) {
    const bucket = place - LIMITS.length
    if (before !== bucket - 1) {
      limits.push(upper(bucket - 1))
      buckets.push(0)
    }
    limits.push(upper(bucket))
    buckets.push(counted[place]!)
    before = bucket
  }
  if (num === 0) [min, max] = [0, 0]
  return { tag, histo: { min, max, num, sum, sum_squares: squares, bucket_limit: limits, bucket: buckets } }
}

const DT_FLOAT = 1
const DT_STRING = 7

function plugin(name: string, content: Uint8Array = new Uint8Array()): object {
  return { plugin_data: { plugin_name: name, content } }
}

/** A text in Markdown. */
export function text(tag: string, markdown: string): SummaryValue {
  const tensor = {
    dtype: DT_STRING,
    tensor_shape: { dim: [{ size: 1 }] },
    string_val: [Buffer.from(markdown)],
  }
  return { tag, tensor, metadata: plugin('text') }
}

/** One point of a precision-recall curve, by falling threshold or in any order. */
export interface PrPoint {
  /** Detections that score at least this. */
  threshold: number
  tp: number
  fp: number
  /** True boxes that are missed. */
  fn: number
}

const PR_THRESHOLDS = 101

/**
 * The PR curve at thresholds 0, 0.01, ..., 1. There are no true negatives among boxes: they are written as 0.
 * @param points one per distinct score
 * @param truths true boxes
 */
export function prCurve(tag: string, points: readonly PrPoint[], truths: number): SummaryValue {
  const falling = [...points].sort((a, b) => b.threshold - a.threshold)
  const rows: number[][] = [[], [], [], [], [], []]
  for (let n = 0; n < PR_THRESHOLDS; n++) {
    const threshold = n / (PR_THRESHOLDS - 1)
    const point = falling.findLast((one) => one.threshold >= threshold)
    const { tp, fp, fn } = point ?? { tp: 0, fp: 0, fn: truths }
    const precision = tp + fp === 0 ? 1 : tp / (tp + fp)
    const recall = tp + fn === 0 ? 0 : tp / (tp + fn)
    ;[tp, fp, 0, fn, precision, recall].forEach((value, row) => rows[row]!.push(value))
  }
  const tensor = {
    dtype: DT_FLOAT,
    tensor_shape: { dim: [{ size: 6 }, { size: PR_THRESHOLDS }] },
    float_val: rows.flat(),
  }
  const content = PrCurvePluginData.encode({ version: 0, num_thresholds: PR_THRESHOLDS }).finish()
  return { tag, tensor, metadata: plugin('pr_curves', content) }
}

/** The hypes as a text, and for TensorBoard's HParams with the tags of the measures that its table compares. */
export function describeHypes(
  hypes: object,
  compared: readonly string[],
  seconds = Date.now() / 1000,
): SummaryValue[] {
  const block = `\`\`\`json\n${JSON.stringify(hypes, undefined, 2)}\n\`\`\``
  return [text('hypes', block), ...hparams(Object.fromEntries(flat(hypes)), compared, seconds)]
}

/** Keys as group.key; arrays as JSON. */
function* flat(value: object, group = ''): Generator<[string, HParam]> {
  for (const [name, item] of Object.entries(value) as [string, unknown][]) {
    if (typeof item === 'number' || typeof item === 'boolean' || typeof item === 'string')
      yield [group + name, item]
    else if (Array.isArray(item)) yield [group + name, JSON.stringify(item)]
    else if (typeof item === 'object' && item !== null) yield* flat(item, `${group}${name}.`)
  }
}

/**
 * The columns of TensorBoard's table as it opens: five, those that differ, else the first of the alphabet. Of one run nobody
 * knows what differs: these are said to.
 */
const FIRST = new Set(['batch_size', 'slim_basename', 'slim_ckpt', 'solver.learning_rate', 'solver.opt'])

/** A key of the hypes: a number, true or false, a text. */
type HParam = number | boolean | string

/** The hypes for TensorBoard's HParams, with the measures that its table compares. */
function hparams(
  values: Readonly<Record<string, HParam>>,
  metrics: readonly string[],
  seconds: number,
): SummaryValue[] {
  const types = { number: 3, boolean: 2, string: 1 } as const
  const experiment = {
    time_created_secs: seconds,
    hparam_infos: Object.entries(values).map(([name, value]) => ({
      name,
      type: types[typeof value as keyof typeof types],
      differs: FIRST.has(name),
    })),
    metric_infos: metrics.map((tag) => ({ name: { tag } })),
  }
  // Without a name of a group: TensorBoard takes the run's folder, one row each.
  const start = {
    start_time_secs: seconds,
    hparams: Object.fromEntries(
      Object.entries(values).map(([name, value]) => [
        name,
        { [`${typeof value}_value`.replace('boolean', 'bool')]: value },
      ]),
    ),
  }
  const value = (tag: string, data: object): SummaryValue => ({
    tag,
    tensor: { dtype: DT_FLOAT, tensor_shape: {}, float_val: [0] },
    metadata: plugin(
      'hparams',
      HParamsPluginData.encode(HParamsPluginData.create({ version: 0, ...data })).finish(),
    ),
  })
  return [
    value('_hparams_/experiment', { experiment }),
    value('_hparams_/session_start_info', { session_start_info: start }),
  ]
}
