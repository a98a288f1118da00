import type { Figures, Share } from './figures.js'
import { RATES } from './figures.js'
import type { Outcomes } from './outcomes.js'

const text = ({ value, low, high, n }: Share): string =>
  `${value.toFixed(3)} [${low.toFixed(2)}, ${high.toFixed(2)}] (${n})`

/** The figures as Markdown. */
export function figureTable(result: Figures, outcomes: Outcomes): string {
  const rates = RATES.map((rate) => (rate < 1 ? `1/${1 / rate}` : String(rate)))
  const rows: [string, string][] = [
    ['false marks a scan at the default confidence', result.falseMarksAtDefault.join(', ')],
    ['stack CPM', text(result.stackCpm)],
    ...result.sensitivities.map((share, n): [string, string] => [
      `sensitivity at ${rates[n]} false marks a scan (confidence ${result.thresholds[n]!.toFixed(3)})`,
      text(share),
    ]),
    ...result.bySize.map(({ name, at4 }): [string, string] => [`${name} at 4 false marks a scan`, text(at4)]),
    [
      'diameter, mean and median absolute error, mm',
      `${result.diameterError.mean.toFixed(2)}, ${result.diameterError.median.toFixed(2)} (${result.diameterError.n})`,
    ],
    ...(result.inserted === undefined
      ? []
      : [
          ['the same nodules put into the whole scans: CPM', text(result.inserted.stackCpm)] as [
            string,
            string,
          ],
          ...result.inserted.bySize.map(({ name, at4 }): [string, string] => [
            `${name} put into whole scans, at 4 false marks a scan`,
            text(at4),
          ]),
        ]),
    ...outcomes.scans.map((scan): [string, string] => [
      `${scan.patientId} (${scan.seconds.toFixed(1)} s)`,
      scan.nodules
        .map(
          (nodule) =>
            `${nodule.diameterMm.toFixed(1)} mm: ${nodule.score.toFixed(3)}, ${nodule.falseMarksAbove} false above`,
        )
        .join('; '),
    ]),
  ]
  return [
    '| figure | value [95 % by patients] (nodules) |',
    '| --- | --- |',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
  ].join('\n')
}
