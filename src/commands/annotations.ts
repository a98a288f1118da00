import { join } from 'node:path'
import type { CommandModule } from 'yargs'
import {
  FIELD_ALIASES,
  NODULE_FIELDS,
  indexAnnotations,
  lunaCsv,
  nodulesCsv,
  summarizeAnnotations,
  summaryText,
} from '../annotations/index.js'
import { annotateFolders, annotationJson, annotationTable, findXml } from '../scans/index.js'
import { sortForeign } from '../scans/xml_of_series.js'
import { drawNodules, fileNames } from '../pictures/index.js'
import { NoduleError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import { longWork } from '../terminal/long_work.js'
import type { LongWork } from '../terminal/long_work.js'
import { isStdout, printFailure, printNote, printResult } from '../terminal/output.js'
import { count } from '../words.js'

interface Flags {
  folders: string[]
  xml: string[]
  output: string | undefined
  summary: boolean
  warnings: boolean
  draw: string | undefined
  'min-readers': number | undefined
  where: string | undefined
  csv: string | undefined
  luna: string | undefined
}

export const command: CommandModule<object, Flags> = {
  command: 'annotations <folders..>',
  describe: "Read LIDC XML and print the readers' consensus nodules",
  builder: (yargs) =>
    yargs
      .positional('folders', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'Folders with DICOM series and their XML files',
      })
      .option('xml', {
        type: 'string',
        array: true,
        default: [],
        describe: 'XML files, or folders of them, that lie elsewhere',
      })
      .option('output', { alias: 'o', type: 'string', describe: 'Write the JSON to this file' })
      .option('summary', {
        type: 'boolean',
        default: false,
        describe: 'Only count the marks of the XML files; needs no images',
      })
      .option('warnings', { type: 'boolean', default: false, describe: 'List the oddities of the XML files' })
      .option('draw', { type: 'string', describe: 'Write a picture of each nodule to this folder' })
      .option('csv', { type: 'string', describe: 'Write one row a nodule to this file' })
      .option('luna', {
        type: 'string',
        describe: "Write nodules of 3 readers or more to this file, as LUNA16's annotations.csv",
      })
      .option('where', {
        type: 'string',
        describe: `Keep the nodules for which this holds; names: ${NODULE_FIELDS.slice(2).join(', ')}; ${Object.entries(
          FIELD_ALIASES,
        )
          .map(([alias, name]) => `${alias} is ${name}`)
          .join(', ')}`,
      })
      .option('min-readers', { type: 'number', describe: 'Leave out nodules of fewer readers [1]' })
      .example('$0 annotations LIDC-IDRI-0001', 'consensus nodules in mm')
      .example('$0 annotations LIDC-IDRI-0001 --draw pictures', "with each reader's contours in color")
      .example(
        "$0 annotations LIDC-IDRI --where 'malignancy >= 4 && readers >= 3 && equivalentDiameter > 8'",
        'a query',
      )
      .example('$0 annotations tcia-lidc-xml --summary', 'count the marks of all XML files'),
  handler: async (flags) => {
    if (flags.summary) await printSummary(flags)
    else await printNodules(flags)
  },
}

/** Long work of which a part is worth nothing: half a table looks like a whole one. */
async function watched<Result>(work: (tools: LongWork) => Promise<Result>): Promise<Result> {
  return longWork('annotations', async (tools) => {
    const result = await work(tools)
    if (tools.signal.aborted) throw new NoduleError('INTERRUPTED', 'interrupted')
    return result
  })
}

async function printSummary(flags: Flags): Promise<void> {
  const { folders, xml, warnings, output } = flags
  const given = (['draw', 'csv', 'luna', 'where', 'min-readers'] as const).find(
    (name) => flags[name] !== undefined,
  )
  if (given !== undefined)
    throw new NoduleError('INVALID_PARAMETER', `--${given} is for nodules, which --summary does not build`, {
      path: folders.join(', '),
    })
  const inputs = [...folders, ...xml]
  const paths = await findXml(inputs)
  const index = await watched(async (tools) => indexAnnotations(paths, undefined, tools))
  const { summary, foreign, problems, warnings: found } = await summarizeAnnotations(paths, index)
  const { named, line } = sortForeign(foreign, inputs)
  if (output !== undefined) await writeFileAtomic(output, `${JSON.stringify(summary, null, 2)}\n`)
  printResult(summary, () => summaryText(summary, 'listed by --warnings'))
  if (warnings) for (const warning of found) printNote(warning)
  if (line !== undefined) printNote(line)
  report([...problems, ...named].map(({ error }) => error.message))
}

async function printNodules(flags: Flags): Promise<void> {
  const run = await watched(async ({ signal, onProgress }) =>
    annotateFolders(flags.folders, {
      onProgress,
      signal,
      xml: flags.xml,
      minReaders: flags['min-readers'] ?? 1,
      where: flags.where,
    }),
  )
  if (run.annotated.length === 0) {
    for (const note of run.notes) printNote(note)
    // What could not be read is the likeliest reason, and says more.
    if (run.problems.length > 0) return report(run.problems)
    throw new NoduleError('FORMAT', 'no CT series with annotations', {
      path: flags.folders.join(', '),
      expected: 'DICOM slices and an XML file that names their series (--summary counts XML files alone)',
      actual: `${run.without.length} CT series, ${count(run.unused, 'reading')} of other series`,
    })
  }
  const json = annotationJson(run)
  if (flags.output !== undefined) await writeFileAtomic(flags.output, `${JSON.stringify(json, null, 2)}\n`)
  if (flags.csv !== undefined) await writeFileAtomic(flags.csv, nodulesCsv(run.annotated))
  if (flags.luna !== undefined) await writeFileAtomic(flags.luna, lunaCsv(run.annotated))
  if (![flags.output, flags.csv, flags.luna].some(isStdout)) printResult(json, () => annotationTable(run))
  const { draw } = flags
  if (draw !== undefined) {
    const names = fileNames(run.annotated.map(({ series }) => series))
    await watched(async ({ signal, onProgress }) => {
      for (const [index, one] of run.annotated.entries()) {
        if (signal.aborted) return
        onProgress(index, run.annotated.length, one.series.patientId)
        for (const path of await drawNodules(one, join(draw, names.get(one.series)!)))
          printNote(`wrote ${path}`)
      }
    })
  }
  for (const { reading, placed } of run.annotated) {
    for (const warning of placed.warnings) printNote(`warning: ${reading.path}: ${warning}`)
    if (flags.warnings) for (const warning of reading.warnings) printNote(`${reading.path}: ${warning}`)
    report(placed.unplaced.map((roi) => `${reading.path}: ${roi.noduleId}: not placed: ${roi.reason}`))
  }
  for (const note of run.notes) printNote(note)
  for (const series of run.without) printNote(`${series.folder}: no annotations for this series`)
  if (run.unused > 0) printNote(`${count(run.unused, 'reading')} of series that are not here`)
  if (run.cxr > 0) printNote(`${count(run.cxr, 'X-ray reading')} skipped`)
  report(run.problems)
}

/** Problems go to stderr and make the exit code 1. */
function report(problems: readonly string[]): void {
  for (const problem of problems) printFailure(problem)
  if (problems.length > 0) process.exitCode = 1
}
