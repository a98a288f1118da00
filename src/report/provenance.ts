import { basename } from 'node:path'
import { show } from '../check.js'
import { sha256 } from '../hash.js'
import type { SeriesDetections } from '../inference/detections.js'
import { readRegularSync } from '../read_files.js'
import { VERSION } from '../version.js'
import { count } from '../words.js'
import { seedOf } from './run_files.js'
import type { RunFiles } from './run_files.js'

/** What the figures of a report were made by and of: versions, seed, models, parameters, files. Name and text. */
export function provenance(
  files: RunFiles,
  detections: readonly SeriesDetections[],
  hypes: unknown,
): [string, string][] {
  const rows: [string, string][] = [['Report by', `nodule ${VERSION}, Node ${process.versions.node}`]]
  const solver = (hypes as { solver?: { rnd_seed?: unknown; max_iter?: unknown } } | undefined)?.solver
  const seed = seedOf(files.log) ?? solver?.rnd_seed
  if (seed !== undefined) rows.push(['Seed', show(seed)])
  const stagesOf = ({ model, second }: SeriesDetections): string =>
    `${model.sha256} ${second?.sha256 ?? 'none'}`
  const models = new Map(detections.map((detection) => [stagesOf(detection), detection]))
  for (const [stages, { model, second, versions, device }] of models) {
    const sets = detections.filter((detection) => stagesOf(detection) === stages)
    const parameters = new Set(sets.map((detection) => JSON.stringify(detection.parameters)))
    rows.push(['Model', modelText(model)], ['Model SHA-256', model.sha256])
    rows.push([
      'Second stage',
      second === undefined ? 'none' : `${modelText(second)}, SHA-256 ${second.sha256}`,
    ])
    rows.push([
      'Detection by',
      `nodule ${versions.nodule}, onnxruntime ${versions.onnxruntime}, Node ${versions.node}${device === undefined ? '' : `, ${device}`}`,
    ])
    for (const text of parameters) rows.push(['Detection parameters', text])
  }
  const names: [keyof RunFiles, string][] = [
    ['hypes', 'Hypes'],
    ['log', 'Training log'],
    ['truth', 'True boxes'],
    ['predictions', 'Predictions'],
    ['evaluation', 'Evaluation'],
  ]
  for (const [key, name] of names) {
    const path = files[key]
    if (path !== undefined) rows.push([name, `${basename(path)}, SHA-256 ${sha256(readRegularSync(path))}`])
  }
  if (files.detections !== undefined) rows.push(['Detections', count(detections.length, 'scan')])
  return rows
}

function modelText({ path, precision, step, codeVersion }: SeriesDetections['model']): string {
  return `${basename(path)}${precision === undefined ? '' : `, ${precision}`}, step ${step}, trained by nodule ${codeVersion}`
}

/** Rows by name; a name that comes again (another model's) gets a number. */
export function byName(rows: readonly (readonly [string, string])[]): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [name, text] of rows) {
    let free = name
    for (let n = 2; free in found; n++) free = `${name} ${n}`
    found[free] = text
  }
  return found
}
