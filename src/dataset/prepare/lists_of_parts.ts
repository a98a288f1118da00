import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeList } from '../list.js'
import type { ListEntry } from '../list.js'
import { sha256 } from '../../hash.js'
import type { ScanRecord } from './record.js'
import type { SplitRule } from './split.js'

export interface WrittenList {
  /** File name in the data set's folder. */
  file: string
  patients: number
  frames: number
  boxes: number
  sha256: string
}

/**
 * The lists of a split: PART.json for each part, train.json, val.json and test.json also where they are empty; for
 * folds fold-N.json (the fold, to test on) and fold-N-train.json (all others).
 */
export function listsOfParts(
  records: readonly ScanRecord[],
  parts: ReadonlyMap<string, string>,
  rule: SplitRule,
): Map<string, ScanRecord[]> {
  const byPart = new Map<string, ScanRecord[]>()
  if (rule.kind === 'fractions') for (const part of Object.keys(rule.fractions)) byPart.set(part, [])
  if (rule.kind === 'folds') for (let n = 0; n < rule.folds; n++) byPart.set(`fold-${n}`, [])
  for (const record of records) {
    const part = parts.get(patientOf(record))
    if (part === undefined) continue
    const group = byPart.get(part)
    if (group === undefined) byPart.set(part, [record])
    else group.push(record)
  }
  const lists = new Map<string, ScanRecord[]>()
  const names = [...byPart.keys()].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  const folds = names.length > 1 && names.every((name) => /^fold-\d+$/.test(name))
  for (const name of names) {
    lists.set(`${name}.json`, byPart.get(name)!)
    if (folds)
      lists.set(
        `${name}-train.json`,
        names.filter((other) => other !== name).flatMap((other) => byPart.get(other)!),
      )
  }
  return lists
}

/** Who a scan belongs to; a study stands in where the patient has no id. */
export function patientOf(scan: { patientId: string; studyInstanceUid: string }): string {
  return scan.patientId === '' ? `study ${scan.studyInstanceUid}` : scan.patientId
}

/** A word for each list that came out empty though its part was asked for. */
export function emptyLists(written: readonly WrittenList[], rule: SplitRule, failedScans: number): string[] {
  const notAsked = (file: string): boolean =>
    rule.kind === 'fractions' && rule.fractions[file.replace(/\.json$/, '')] === 0
  return written
    .filter(({ file, frames }) => frames === 0 && !notAsked(file))
    .map(({ file, patients }) => {
      if (patients > 0) return `${file} is empty: no slice of its patients was chosen`
      return `${file} is empty: ${failedScans > 0 ? 'its scans failed, or ' : ''}there are too few patients for this split`
    })
}

/** Writes the lists and removes those of an earlier split. */
export async function writeLists(
  output: string,
  lists: ReadonlyMap<string, readonly ScanRecord[]>,
  earlier: readonly string[],
): Promise<WrittenList[]> {
  const written: WrittenList[] = []
  for (const [file, records] of lists) {
    const entries: ListEntry[] = records.flatMap((record) => record.entries)
    const path = join(output, file)
    await writeList(path, entries)
    written.push({
      file,
      patients: new Set(records.map(patientOf)).size,
      frames: entries.length,
      boxes: entries.reduce((sum, entry) => sum + entry.rects.length, 0),
      sha256: sha256(await readFile(path)),
    })
  }
  for (const file of earlier)
    if (!lists.has(file) && /^[\w.-]+\.json$/.test(file) && file !== 'manifest.json')
      await rm(join(output, file), { force: true })
  return written
}
