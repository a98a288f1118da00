import { checkInteger, checkNumber, invalidParameter, show } from '../../check.js'
import { NoduleError } from '../../errors.js'
import { readText } from '../../files.js'
import { createRandom } from '../../random.js'
import { greatest } from '../../lists.js'

/** How patients are divided. All series of a patient stay together. */
export type SplitRule =
  /** Parts by fraction, e.g. {train: 0.7, val: 0.1, test: 0.2}; the fractions sum to 1. */
  | { kind: 'fractions'; fractions: Readonly<Record<string, number>> }
  /** n parts of nearly equal size: "fold-0" ... */
  | { kind: 'folds'; folds: number }
  /** Given for each patient or series. */
  | { kind: 'given'; path: string; parts: ReadonlyMap<string, string> }

export interface PatientSeries {
  patientId: string
  seriesInstanceUid: string
}

/**
 * The rule that flags ask for: a file of given parts, folds, or fractions "train,val,test" that sum to 1.
 * Throws NoduleError (INVALID_PARAMETER, FILE, FORMAT).
 */
export function splitRule(
  fractions: string,
  folds: number | undefined,
  given: string | undefined,
): SplitRule {
  if (given !== undefined) return readGivenSplit(given)
  if (folds !== undefined) return { kind: 'folds', folds: checkInteger('folds', folds, 2, 1000) }
  const values = fractions.split(',').map(Number)
  const sum = values.reduce((total, value) => total + value, 0)
  if (values.length !== 3 || values.some((value) => !(value >= 0)) || Math.abs(sum - 1) > 1e-6)
    throw invalidParameter('split', 'three fractions train,val,test that sum to 1', fractions)
  const [train, val, test] = values as [number, number, number]
  return { kind: 'fractions', fractions: { train, val, test } }
}

/**
 * The part of each patient. Patients are put in an order that depends on the seed and their id alone and cut by the
 * fractions, so a patient who is added moves few others; a part with a fraction above 0 gets at least one patient
 * where there are enough.
 * @returns part by patient id; patients that a given list does not name are absent
 */
export function splitPatients(
  series: readonly PatientSeries[],
  rule: SplitRule,
  seed: number,
): Map<string, string> {
  if (rule.kind === 'given') return givenParts(series, rule)
  if (rule.kind === 'folds') checkInteger('folds', rule.folds, 2, 1000)
  else for (const [name, part] of Object.entries(rule.fractions)) checkNumber(`fractions.${name}`, part, 0, 1)
  const random = createRandom(seed)
  const ranked = [...new Set(series.map((item) => item.patientId))]
    .map((id) => ({ id, rank: random.fork(`patient ${id}`).uniform() }))
    .sort((a, b) => a.rank - b.rank || (a.id < b.id ? -1 : 1))
  const parts = new Map<string, string>()
  if (rule.kind === 'folds') {
    for (const [place, { id }] of ranked.entries()) parts.set(id, `fold-${place % rule.folds}`)
    return parts
  }
  const names = Object.keys(rule.fractions)
  const counts = partSizes(
    ranked.length,
    names.map((name) => rule.fractions[name]!),
  )
  let next = 0
  for (const [index, name] of names.entries())
    for (let n = 0; n < counts[index]!; n++) parts.set(ranked[next++]!.id, name)
  return parts
}

/** Whole numbers that sum to `total`, near the fractions, at least 1 for each fraction above 0 where total allows. */
export function partSizes(total: number, fractions: readonly number[]): number[] {
  const exact = fractions.map((fraction) => fraction * total)
  const sizes = exact.map(Math.floor)
  const byRemainder = exact
    .map((value, index) => ({ index, remainder: value - Math.floor(value) }))
    .sort((a, b) => b.remainder - a.remainder || a.index - b.index)
  let left = total - sizes.reduce((sum, size) => sum + size, 0)
  for (const { index } of byRemainder) if (left > 0 && fractions[index]! > 0 && left--) sizes[index]!++
  const wanted = fractions.filter((fraction) => fraction > 0).length
  if (total < wanted) return sizes
  for (const [index, fraction] of fractions.entries()) {
    if (fraction === 0 || sizes[index]! > 0) continue
    const largest = sizes.indexOf(greatest(sizes))
    sizes[largest]!--
    sizes[index]!++
  }
  return sizes
}

/**
 * Reads which part each patient or series belongs to: lines "ID,PART" (comma, semicolon or tab; ID is a patient id or
 * a series UID; PART any word, e.g. train or fold-3; a first line whose second word is "part", "split", "subset" or
 * "fold" is a heading; lines that begin with # are skipped). Throws NoduleError (FILE, FORMAT).
 */
export function readGivenSplit(path: string): SplitRule {
  const content = readText(path, 'read split')
  const parts = new Map<string, string>()
  /** By their small letters: some file systems take their lists for one file. */
  const names = new Map<string, string>()
  for (const [index, line] of content.split(/\r?\n/).entries()) {
    const text = line.replace(/^\uFEFF/, '').trim()
    if (text === '' || text.startsWith('#')) continue
    const [id = '', part = '', ...rest] = text.split(/[,;\t]/).map((cell) => cell.trim())
    if (parts.size === 0 && /^(part|split|subset|fold)$/i.test(part)) continue
    if (id === '' || !/^(?!manifest$)[\w.-]{1,64}$/i.test(part) || rest.length > 0) {
      throw new NoduleError('FORMAT', 'wrong line', {
        path,
        place: `line ${index + 1}`,
        // The part's list is PART.json; there is a manifest.json beside it.
        expected: 'PATIENT_OR_SERIES,PART with a part of letters, digits, ".", "_" or "-", not "manifest"',
        actual: show(text),
      })
    }
    const name = /^\d+$/.test(part) ? `fold-${part}` : part
    const written = names.get(name.toLowerCase()) ?? name
    if (written !== name)
      throw new NoduleError('FORMAT', 'a part in other capitals than before', {
        ...{ path, place: `line ${index + 1}`, expected: written, actual: name },
      })
    names.set(name.toLowerCase(), name)
    const before = parts.get(id)
    if (before !== undefined && before !== name) {
      throw new NoduleError('FORMAT', 'in two parts', {
        path,
        place: `line ${index + 1}`,
        expected: `${id} in ${before} as before`,
        actual: name,
      })
    }
    parts.set(id, name)
  }
  if (parts.size === 0)
    throw new NoduleError('FORMAT', 'names no patient', { path, expected: 'lines PATIENT,PART' })
  return { kind: 'given', path, parts }
}

function givenParts(
  series: readonly PatientSeries[],
  rule: Extract<SplitRule, { kind: 'given' }>,
): Map<string, string> {
  const parts = new Map<string, string>()
  for (const { patientId, seriesInstanceUid } of series) {
    const part = rule.parts.get(seriesInstanceUid) ?? rule.parts.get(patientId)
    if (part === undefined) continue
    const before = parts.get(patientId)
    if (before !== undefined && before !== part) {
      throw new NoduleError('FORMAT', 'two series of one patient are in two parts', {
        path: rule.path,
        place: patientId,
        expected: before,
        actual: part,
      })
    }
    parts.set(patientId, part)
  }
  return parts
}
