import { count } from '../../words.js'
import type { FoundSeries, SkippedFile } from './series.js'
import type { Series } from './types.js'
import { alignedLines } from '../../text_table.js'

const COLUMNS: readonly [string, (series: Series) => string][] = [
  ['patient', (series) => series.patientId],
  ['series', (series) => `..${series.seriesInstanceUid.slice(-12)}`],
  ['modality', (series) => series.modality],
  ['images', (series) => String(series.slices.length)],
  ['size', ({ slices: [first] }) => `${first!.columns} x ${first!.rows}`],
  ['spacing mm', ({ geometry }) => geometry.spacing.map((value) => trim(value)).join(' x ')],
  ['thick', ({ thickness }) => (thickness === undefined ? '-' : trim(thickness))],
  ['kernel', ({ slices: [first] }) => first!.kernel ?? '-'],
  ['vendor', ({ slices: [first] }) => first!.manufacturer ?? '-'],
  ['use', (series) => (series.isVolume ? 'volume' : 'no volume')],
]

/** What a tree holds, for people: one line per series, its problems below it, then what is no slice. */
export function seriesTable(found: FoundSeries): string {
  const rows = found.series.map((series) => COLUMNS.map(([, cell]) => cell(series)))
  const [head, ...lines] = alignedLines([COLUMNS.map(([name]) => name), ...rows], {
    indent: '',
    left: COLUMNS.length,
  })
  const patients = new Set(found.series.map((series) => series.patientId)).size
  const studies = new Set(found.series.map((series) => series.studyInstanceUid)).size
  return [
    head!,
    ...found.series.map((series, n) => lines[n]! + problemLines(series)),
    `${count(patients, 'patient')}, ${count(studies, 'study')}, ${found.series.length} series, `,
    `${found.series.filter((series) => series.isVolume).length} of them volumes\n`,
    ...skippedLines(found),
  ].join('')
}

function problemLines(series: Series): string {
  return series.problems.map((problem) => `  ${problem.kind}: ${problem.message}\n`).join('')
}

/** "17 files without a slice: 3 SR, 14 foreign", why images are among them, and each damaged file with its reason. */
function skippedLines({ skipped }: FoundSeries): string[] {
  const rest = skipped.filter((file) => file.kind !== 'damaged')
  const counts = new Map<string, number>()
  for (const { kind, modality } of rest) {
    const name = kind === 'foreign' ? 'foreign' : (modality ?? 'other DICOM')
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const parts = [...counts].map(([name, number]) => `${number} ${name}`)
  return [
    ...(rest.length > 0 ? [`${count(rest.length, 'file')} without a slice: ${parts.join(', ')}\n`] : []),
    ...reasonLines(
      rest.filter(({ modality }) => modality === 'CT'),
      'CT',
    ),
    ...reasonLines(rest.filter(isPacked), 'packed'),
    ...skipped
      .filter((file) => file.kind === 'damaged')
      .map((file) => `damaged: ${file.path}: ${file.reason}\n`),
  ]
}

/** Files that may hold slices once they are unpacked. */
function isPacked({ fault, kind }: SkippedFile): boolean {
  return kind === 'foreign' && fault === 'packed'
}

/** Files that are no slices, by reason, with one of them as an example. */
function reasonLines(files: FoundSeries['skipped'], what: string): string[] {
  const byReason = new Map<string, string[]>()
  for (const { reason, path } of files) {
    const known = byReason.get(reason)
    if (known === undefined) byReason.set(reason, [path])
    else known.push(path)
  }
  return [...byReason]
    .sort((a, b) => b[1].length - a[1].length)
    .map(([reason, paths]) => `  ${paths.length} ${what}: ${reason}, such as ${paths[0]}\n`)
}

/** The same as JSON. */
export function seriesJson(found: FoundSeries): unknown {
  return {
    format: 'nodule-series/1',
    series: found.series.map(({ slices, geometry, ...series }) => {
      const { rows, columns, kernel, manufacturer, model, kvp, transferSyntax, seriesDescription } =
        slices[0]!
      const { slicePositions, ...place } = geometry
      return {
        ...series,
        images: slices.length,
        rows,
        columns,
        seriesDescription,
        kernel,
        manufacturer,
        model,
        kvp,
        transferSyntax,
        geometry: place,
        lengthMm: slicePositions.at(-1),
      }
    }),
    skipped: found.skipped,
  }
}

function trim(value: number): string {
  return String(Number(value.toFixed(3)))
}
