import { readText } from '../files.js'
import { checkShape, parseJson } from '../json.js'
import type { Shape } from '../json.js'
import { show } from '../check.js'
import { NoduleError } from '../errors.js'
import type { SliceEvaluation } from '../evaluation/index.js'

const OPERATING_POINT = { target: 'number', 'value?': 'number', 'threshold?': 'number' } as const
const GROUP = {
  group: 'text',
  total: 'count',
  found: 'count',
  'sensitivity?': 'number',
  'low?': 'number',
  'high?': 'number',
  'falsePositives?': 'count',
} as const

/** What the page shows of an evaluation of slices. */
const SHAPE: Shape = {
  iou: 'number',
  images: 'count',
  truthBoxes: 'count',
  'ap?': 'number',
  'ap11?': 'number',
  'bestF1?': { threshold: 'number', precision: 'number', recall: 'number', f1: 'number' },
  recallAtPrecision: [OPERATING_POINT],
  precisionAtRecall: [OPERATING_POINT],
  curve: [{ threshold: 'number', precision: 'number', 'recall?': 'number' }],
  'coco?': { 'from10to50?': 'number', 'from50to95?': 'number' },
  'apInterval?': { confidence: 'number', low: 'number', high: 'number', samples: 'count', groups: 'count' },
  'draw?': { by: 'text', count: 'count', withTruth: 'count', unknown: 'count' },
  'bySize?': [GROUP],
  'byAxialDiameter?': [GROUP],
  'byType?': [GROUP],
}

/** Reads what `nodule evaluate -o` wrote of one list. Throws NoduleError (FILE, FORMAT) with the JSON pointer. */
export function readSliceEvaluation(path: string): SliceEvaluation {
  const value = parseJson(readText(path, 'read evaluation'), path)
  const what = 'not a slice-level evaluation'
  checkShape(value, { 'format?': 'any', 'kind?': 'any' }, path, what)
  const file = value as Record<string, unknown>
  if (file['format'] !== 'nodule-evaluation/1' || file['kind'] !== 'slices')
    throw new NoduleError('FORMAT', what, {
      path,
      place: '/format',
      expected: 'nodule-evaluation/1 of kind "slices"',
      actual: show(file['kind'] ?? file['format']),
    })
  checkShape(value, SHAPE, path, what)
  // What may be absent is null where the page asks for it, or absent.
  const known = Object.fromEntries(Object.entries(file).filter(([, one]) => one !== null))
  return { ap: null, ap11: null, bestF1: null, ...known } as unknown as SliceEvaluation
}
