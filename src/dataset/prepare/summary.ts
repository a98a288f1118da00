import type { PrepareResult } from './types.js'
import { count } from '../../words.js'
import { alignColumns } from '../../text_table.js'

/** What was prepared, for people. */
export function preparedTable(output: string, result: PrepareResult, drawn: readonly string[]): string {
  const { manifest, made, unchanged } = result
  const lines = [
    `${count(made, 'scan')} prepared, ${unchanged} unchanged, ${manifest.failed.length} failed, ${manifest.skipped.length} series skipped`,
  ]
  for (const [reason, count] of countBy(manifest.skipped.map((item) => item.reason)))
    lines.push(`  skipped ${count}: ${reason}`)
  for (const item of manifest.damaged) lines.push(`  damaged ${item.path}: ${item.reason}`)
  for (const item of manifest.failed) lines.push(`  failed ${item.folder}: ${item.error}`)
  const rows = manifest.lists.map(({ file, patients, frames, boxes }) => [
    file,
    ...[patients, frames, boxes].map(String),
  ])
  lines.push(alignColumns([['list', 'patients', 'frames', 'boxes'], ...rows], { indent: '' }).trimEnd())
  lines.push(`data set: ${output}`)
  for (const path of drawn) lines.push(`picture: ${path}`)
  return `${lines.join('\n')}\n`
}

function countBy(items: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1)
  return counts
}
