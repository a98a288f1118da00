import { basename } from 'node:path'
import { show } from '../../check.js'
import type { SeriesDetections } from '../../inference/detections.js'
import { isObject } from '../../json.js'
import { greatest } from '../../lists.js'
import { count } from '../../words.js'
import { FROC_RATES } from './froc.js'
import type { ScanEvaluation } from './scans.js'

/** Marks below this confidence make up next to nothing of a curve up to 8 false positives per scan. */
const LOW_CONFIDENCE = 0.02

/**
 * What was detected by other models or settings than the rest of a folder: the figures would be of no one detector.
 * @returns a warning, where there is something to say
 */
export function mixedSettings(name: string, detections: readonly SeriesDetections[]): string | undefined {
  const nameOf = new Map<string | undefined, string>([[undefined, 'none']])
  for (const { model, second } of detections)
    for (const { path, sha256 } of second === undefined ? [model] : [model, second])
      nameOf.set(sha256, `${basename(path)} (${sha256.slice(0, 8)})`)
  const groups = new Map<string, { scans: number; settings: Map<string, string> }>()
  for (const one of detections) {
    const settings = settingsOf(one)
    const key = JSON.stringify([...settings])
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { scans: 1, settings })
    else group.scans++
  }
  if (groups.size < 2) return undefined
  const all = [...groups.values()].sort((a, b) => b.scans - a.scans)
  const names = [...new Set(all.flatMap(({ settings }) => [...settings.keys()]))]
  const differing = names.filter((key) => new Set(all.map(({ settings }) => settings.get(key))).size > 1)
  const shown = all.slice(0, 3).map(({ scans, settings }) => {
    const values = differing.slice(0, 4).map((key) => {
      const value = settings.get(key)
      return `${key} ${nameOf.get(value) ?? value!}`
    })
    return `${count(scans, 'scan')} with ${values.join(', ')}`
  })
  const more = all.length > 3 ? `; ${all.length - 3} more` : ''
  return `${name} holds results of ${all.length} different models or settings, whose figures are counted together: ${shown.join('; ')}${more}`
}

/** What decides a result beside the scan, by name: the models, then the parameters in the order of their names. */
function settingsOf({ model, second, parameters }: SeriesDetections): Map<string, string> {
  const found: [string, string][] = []
  const add = (name: string, value: unknown): void => {
    if (!isObject(value)) found.push([name, show(value)])
    else for (const [key, part] of Object.entries(value)) add(name === '' ? key : `${name}.${key}`, part)
  }
  add('', parameters)
  found.sort(([a], [b]) => (a < b ? -1 : 1))
  return new Map([['model', model.sha256], ['second stage', second?.sha256 ?? 'none'], ...found])
}

/** The confidence from which on detection listed marks, the highest of a folder; undefined where no file says it. */
export function leastConfidence(detections: readonly SeriesDetections[]): number | undefined {
  const all = detections.flatMap(({ parameters }) => {
    // Other tools may write such files, and old ones say less.
    const value: unknown = (parameters as Partial<typeof parameters>).link?.minConfidence
    return typeof value === 'number' ? [value] : []
  })
  return all.length === 0 ? undefined : greatest(all)
}

/**
 * What the curves of runs lack because detection listed confident marks only.
 * @returns warnings
 */
export function cutOffs(
  runs: readonly (Pick<ScanEvaluation, 'froc' | 'sensitivity'> & { name: string })[],
  sources: readonly { minConfidence: number | undefined }[],
): string[] {
  const warnings: string[] = []
  const most = greatest([...FROC_RATES])
  for (const [n, { name, froc, sensitivity }] of runs.entries()) {
    const least = sources[n]!.minConfidence
    const end = greatest(froc.map((point) => point.falsePositivesPerScan))
    // Where every nodule is found, or there is none, more marks find no more.
    const isShort = end < most && sensitivity !== null && sensitivity < 1
    if (least !== undefined && least > LOW_CONFIDENCE && isShort)
      warnings.push(
        `${name}: the curve ends at ${Number(end.toFixed(3))} false positives per scan, since detection left out marks below confidence ${least}: with them the sensitivity at higher rates, and the CPM, may be higher`,
      )
  }
  const known = runs.flatMap(({ name }, n) => {
    const least = sources[n]!.minConfidence
    return least === undefined ? [] : [{ name, least }]
  })
  if (new Set(known.map(({ least }) => Math.max(least, LOW_CONFIDENCE))).size > 1)
    warnings.push(
      `the runs list marks from different confidences on (${known.map(({ name, least }) => `${name}: ${least}`).join(', ')}), which makes up a part of their differences`,
    )
  return warnings
}
