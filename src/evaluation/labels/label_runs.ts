import { basename } from 'node:path'
import { show } from '../../check.js'
import { NoduleError } from '../../errors.js'
import { compareAuc, evaluateClassification } from './classification.js'
import type { AucComparison, Classification, ClassificationOptions } from './classification.js'
import { readTable } from '../../formats/csv.js'

export interface LabelRun extends Classification {
  name: string
}

export interface LabelRuns {
  runs: LabelRun[]
  /** Each pair of score columns. */
  comparisons: (AucComparison & { firstName: string; secondName: string })[]
}

/**
 * Evaluates a CSV of items with a column `label` (0 or 1) and one or more columns of scores in [0, 1]: `probability`
 * or `score`, or any whose name starts with one of them (`probability_a`). Score columns are compared by DeLong's
 * test. Throws NoduleError (FILE, FORMAT).
 */
export function evaluateLabelFile(path: string, options: ClassificationOptions = {}): LabelRuns {
  const { names, column, rows } = readTable(path)
  const [labelAt] = column(['label'])
  const columns = names.flatMap((name, at) => (/^(probability|score)/.test(name) ? [at] : []))
  if (columns.length === 0) {
    throw new NoduleError('FORMAT', 'missing column', {
      path,
      place: 'line 1',
      expected: 'a column probability or score',
      actual: show(names.join(',')),
    })
  }
  const number = (
    row: (typeof rows)[number],
    at: number,
    what: string,
    fits: (value: number) => boolean,
  ): number => {
    const cell = row.cells[at]?.trim() ?? ''
    const value = cell === '' ? Number.NaN : Number(cell)
    if (!fits(value)) {
      throw new NoduleError('FORMAT', 'wrong value', {
        path,
        place: `line ${row.line}, ${names[at]!}`,
        expected: what,
        actual: show(cell),
      })
    }
    return value
  }
  const labels = rows.map(
    (row) => number(row, labelAt!, '0 or 1', (value) => value === 0 || value === 1) === 1,
  )
  const positives = labels.filter(Boolean).length
  if (positives === 0 || positives === labels.length) {
    throw new NoduleError('FORMAT', 'one kind of label only', {
      path,
      expected: 'positives and negatives',
      actual: `${positives} positives of ${labels.length}`,
    })
  }
  const tables = columns.map((at) =>
    rows.map((row) => number(row, at, 'number between 0 and 1', (value) => value >= 0 && value <= 1)),
  )
  const title = (at: number): string => (columns.length === 1 ? basename(path) : names[at]!)
  return {
    runs: tables.map((scores, i) => ({
      name: title(columns[i]!),
      ...evaluateClassification(labels, scores, options),
    })),
    comparisons: tables.flatMap((first, i) =>
      tables.slice(i + 1).map((second, j) => ({
        firstName: title(columns[i]!),
        secondName: title(columns[i + 1 + j]!),
        ...compareAuc(labels, first, second),
      })),
    ),
  }
}
