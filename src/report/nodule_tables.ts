import type { FindingOutcome, MarkOutcome } from '../evaluation/index.js'
import { escapeHtml, sortableTable } from './html.js'
import type { Column } from './html.js'

/** A nodule that detection reported. */
export interface NoduleRow {
  patientId: string
  seriesUid: string
  id: number
  /** Patient mm (LPS). */
  center: readonly [number, number, number]
  boxDiameterMm: number
  confidence: number
  /** First and last slice. */
  slices: readonly [number, number]
  /** Against the reference, where there is one. */
  outcome?: MarkOutcome['outcome'] | undefined
  finding?: string | null | undefined
  /** Indices into the page's views. */
  views: number[]
}

/** A nodule of the reference. */
export interface FindingRow {
  patientId: string
  outcome: FindingOutcome
  views: number[]
}

const TAGS: Record<MarkOutcome['outcome'], string> = {
  hit: 'hit',
  double: 'double',
  excluded: 'excluded',
  'false positive': 'false',
  dropped: 'dropped',
}

function picture<T extends { views: number[] }>(): Column<T> {
  return {
    title: 'Picture',
    text: (row) => row.views.length,
    html: (row) => `<div data-views="${escapeHtml(JSON.stringify(row.views))}"></div>`,
  }
}

/** Volume files without a patient are called after the file, which may be long: it must not push the rest out of sight. */
function patient<T extends { patientId: string }>(): Column<T> {
  return {
    title: 'Patient',
    text: (row) => row.patientId,
    html: (row) => `<span class="name">${escapeHtml(row.patientId)}</span>`,
  }
}

function millimeters<T>(title: string, value: (row: T) => number): Column<T> {
  return { title, number: true, text: (row) => value(row).toFixed(1), sort: value }
}

/** Of a true nodule; that of a finding without one is below 0. */
export const diameterText = (millimeters: number): string =>
  millimeters < 0 ? 'unknown diameter' : `${millimeters.toFixed(1)} mm`

const shorten = (uid: string): string => (uid.length > 16 ? `…${uid.slice(-12)}` : uid)

/** Rows that a page still scrolls well with. */
const MAX_ROWS = 2000

/** The reported nodules, in mm, falling confidence. */
export function noduleTable(rows: readonly NoduleRow[], judged: boolean): string {
  if (rows.length === 0) return '<p class="empty">None.</p>'
  const shown = rows.slice(0, MAX_ROWS)
  const pictures = rows.some((row) => row.views.length > 0)
  const note = `<p class="note">Positions in patient space (LPS: x to the left, y to the back, z to the head). Click a column to sort${
    pictures ? ', a picture to enlarge it' : ''
  }.${shown.length === rows.length ? '' : ` The ${MAX_ROWS} most confident of ${rows.length}; the figures count all.`}</p>`
  const columns: Column<NoduleRow>[] = [
    ...(pictures ? [picture<NoduleRow>()] : []),
    patient(),
    {
      title: 'Series',
      text: (row) => shorten(row.seriesUid),
      sort: (row) => row.seriesUid,
      html: (row) =>
        `<span title="${escapeHtml(row.seriesUid)}">${escapeHtml(shorten(row.seriesUid))}</span>`,
    },
    { title: 'No.', number: true, text: (row) => row.id },
    { title: 'Confidence', number: true, text: (row) => row.confidence.toFixed(3) },
    millimeters('Box diameter (mm)', (row) => row.boxDiameterMm),
    millimeters('x (mm)', (row) => row.center[0]),
    millimeters('y (mm)', (row) => row.center[1]),
    millimeters('z (mm)', (row) => row.center[2]),
    {
      title: 'Slices',
      text: (row) =>
        row.slices[0] === row.slices[1] ? `${row.slices[0]}` : `${row.slices[0]}–${row.slices[1]}`,
      sort: (row) => row.slices[0],
    },
    ...(judged
      ? [
          {
            title: 'Outcome',
            text: (row: NoduleRow) => row.outcome ?? null,
            html: (row: NoduleRow) =>
              row.outcome === undefined ? '' : `<span class="tag ${TAGS[row.outcome]}">${row.outcome}</span>`,
          },
          { title: 'Reference', text: (row: NoduleRow) => row.finding ?? null },
        ]
      : []),
  ]
  return note + sortableTable('nodules', columns, shown, (row) => `data-confidence="${row.confidence}"`)
}

/** The reference's nodules: by what each was hit, or that it was missed. */
export function findingTable(rows: readonly FindingRow[]): string {
  const columns: Column<FindingRow>[] = [
    ...(rows.some((row) => row.views.length > 0) ? [picture<FindingRow>()] : []),
    patient(),
    { title: 'Nodule', text: (row) => row.outcome.id },
    {
      ...millimeters('Equivalent diameter (mm)', (row: FindingRow) => row.outcome.equivalentDiameterMm),
      text: ({ outcome }) =>
        outcome.equivalentDiameterMm < 0 ? null : outcome.equivalentDiameterMm.toFixed(1),
    },
    millimeters('x (mm)', (row) => row.outcome.x),
    millimeters('y (mm)', (row) => row.outcome.y),
    millimeters('z (mm)', (row) => row.outcome.z),
    {
      title: 'Outcome',
      text: (row) => (row.outcome.score === null ? 'missed' : 'found'),
      html: (row) =>
        row.outcome.score === null
          ? '<span class="tag missed">missed</span>'
          : '<span class="tag hit">found</span>',
    },
    {
      title: 'Hit by No.',
      number: true,
      // The id of a mark is its series and its number.
      text: (row) => row.outcome.hitBy?.split(' ').at(-1) ?? null,
    },
    { title: 'Confidence', number: true, text: (row) => row.outcome.score?.toFixed(3) ?? null },
    {
      title: 'Distance (mm)',
      number: true,
      text: (row) => row.outcome.distanceMm?.toFixed(1) ?? null,
      sort: (row) => row.outcome.distanceMm,
    },
    { title: 'Marks in it', number: true, text: (row) => row.outcome.marks },
  ]
  return sortableTable('findings', columns, rows)
}
