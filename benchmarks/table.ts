import type { Row } from './types.js'

function ms(value: number | null): string {
  if (value === null) return '-'
  return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(2) : value.toPrecision(3)
}

function cells(row: Row): string[] {
  return [
    row.case,
    ms(row.ours_ms),
    row.peer,
    row.peer_ms === null ? 'peer absent' : ms(row.peer_ms),
    row.ratio === null ? '-' : `${row.ratio.toFixed(row.ratio < 10 ? 2 : 0)}x`,
    ms(row.floor_ms),
    row.goal,
    `${row.runs} (${(row.spread * 100).toFixed(0)} %)`,
  ]
}

const head = ['case', 'ours ms', 'peer', 'peer ms', 'ratio', 'floor ms', 'goal', 'runs (spread)']

/** An aligned Markdown table, one per subject. */
export function formatTable(rows: readonly Row[]): string {
  const tables: string[] = []
  for (const subject of new Set(rows.map((row) => row.subject))) {
    const lines = [head, ...rows.filter((row) => row.subject === subject).map(cells)]
    const widths = head.map((_, c) => Math.max(...lines.map((line) => line[c]?.length ?? 0)))
    const text = lines.map((line) => `| ${line.map((cell, c) => cell.padEnd(widths[c] ?? 0)).join(' | ')} |`)
    text.splice(1, 0, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`)
    tables.push(`${subject}\n\n${text.join('\n')}`)
  }
  return tables.join('\n\n')
}
