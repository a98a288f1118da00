import type { SliceEvaluation } from './slices.js'

/** A ratio with three decimals, or "-" where it is undefined. */
export function ratio(value: number | null | undefined): string {
  return value === null || value === undefined ? '-' : value.toFixed(3)
}

/** Lines up cells: the first column to the left, the others to the right. */
export function alignColumns(rows: readonly (readonly string[])[], indent = '  '): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  )
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${indent}${line}\n`)
    .join('')
}

/** The slice-level figures as text for people. */
export function sliceTable(result: SliceEvaluation): string {
  const { counts } = result
  const best = result.bestF1
  const all = result.curve.at(-1)
  return [
    `Slice level, a hit at IoU >= ${result.iou}: ${result.images} images (${result.imagesWithTruth} with nodules), `,
    `${result.truthBoxes} true boxes, ${result.detections} detections\n\n`,
    alignColumns([
      ['average precision, all points', ratio(result.ap)],
      ['average precision, 11 points', ratio(result.ap11)],
      ['best F1', ratio(best?.f1)],
    ]),
    '\n',
    alignColumns([
      ['operating point', 'confidence', 'TP', 'FP', 'missed', 'precision', 'recall'],
      ...(best === null
        ? []
        : [
            [
              'best F1',
              ratio(best.threshold),
              `${best.tp}`,
              `${best.fp}`,
              `${best.fn}`,
              ratio(best.precision),
              ratio(best.recall),
            ],
          ]),
      [
        'all detections',
        ratio(all?.threshold),
        `${counts.tp}`,
        `${counts.fp}`,
        `${counts.fn}`,
        ratio(counts.precision),
        ratio(counts.recall),
      ],
    ]),
    '\n',
    alignColumns([
      ['at precision', ...result.recallAtPrecision.map((point) => ratio(point.target))],
      ['  recall', ...result.recallAtPrecision.map((point) => ratio(point.value))],
      ['at recall', ...result.precisionAtRecall.map((point) => ratio(point.target))],
      ['  precision', ...result.precisionAtRecall.map((point) => ratio(point.value))],
    ]),
  ].join('')
}
