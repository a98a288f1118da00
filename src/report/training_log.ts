import { show } from '../check.js'
import { NoduleError } from '../errors.js'
import { readText } from '../files.js'
import { parseJson } from '../json.js'

/** One line of a training run's log.jsonl. */
export interface TrainingEntry {
  step: number
  lr: number
  loss: number
  /** Terms of the loss, by name. */
  parts: Record<string, number>
  /** In [0, 1]. */
  testAccuracy?: number
  testLoss?: number
  msPerImage?: number
  /** Of a second stage. */
  msPerCube?: number
}

const OWN = new Set([
  'step',
  'lr',
  'loss',
  'testAccuracy',
  'testLoss',
  'msPerImage',
  'msPerCube',
  'gradientNorm',
])

/**
 * Reads log.jsonl; a last line that was cut off when the run ended is left out.
 * Throws NoduleError (FILE, FORMAT) that names the line.
 */
export function readTrainingLog(path: string): TrainingEntry[] {
  const content = readText(path, 'read log')
  const lines = content.split('\n')
  const entries: TrainingEntry[] = []
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue
    let value: unknown
    try {
      value = parseJson(line, path, `line ${index + 1}`)
    } catch (error) {
      if (index === lines.length - 1) continue
      throw error
    }
    entries.push(parseEntry(value, path, index + 1))
  }
  return entries
}

function parseEntry(value: unknown, path: string, line: number): TrainingEntry {
  const item = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  for (const name of ['step', 'lr', 'loss']) {
    if (typeof item[name] !== 'number') {
      throw new NoduleError('FORMAT', 'not a log entry', {
        path,
        place: `line ${line}`,
        expected: `number for ${name}`,
        actual: show(item[name]),
      })
    }
  }
  const optional = (name: string): number | undefined =>
    typeof item[name] === 'number' ? item[name] : undefined
  const groups = [item, item['parts']].filter((group) => typeof group === 'object' && group !== null)
  const parts = new Map<string, number>()
  for (const group of groups)
    for (const [name, part] of Object.entries(group as object))
      if (typeof part === 'number' && !(group === item && OWN.has(name))) parts.set(name, part)
  const testAccuracy = optional('testAccuracy')
  const testLoss = optional('testLoss')
  const msPerImage = optional('msPerImage')
  const msPerCube = optional('msPerCube')
  return {
    step: item['step'] as number,
    lr: item['lr'] as number,
    loss: item['loss'] as number,
    parts: Object.fromEntries(parts),
    ...(testAccuracy === undefined ? {} : { testAccuracy }),
    ...(testLoss === undefined ? {} : { testLoss }),
    ...(msPerImage === undefined ? {} : { msPerImage }),
    ...(msPerCube === undefined ? {} : { msPerCube }),
  }
}
