import type { CommandModule } from 'yargs'
import {
  NODULE_FIELDS,
  annotateFolders,
  annotationJson,
  annotationTable,
  drawNodules,
  findXml,
  lunaCsv,
  nodulesCsv,
  summarizeAnnotations,
  summaryText,
} from '../annotations/index.js'
import { NoduleError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import { progress } from '../progress.js'
import type { Progress } from '../progress.js'

interface Flags {
  folders: string[]
  xml: string[]
  json: boolean
  output: string | undefined
  summary: boolean
  warnings: boolean
  draw: string | undefined
  'min-readers': number
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
      .option('json', { type: 'boolean', default: false, describe: 'Print JSON instead of the table' })
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
        describe: `Keep the nodules for which this holds; names: ${NODULE_FIELDS.slice(2).join(', ')}`,
      })
      .option('min-readers', { type: 'number', default: 1, describe: 'Leave out nodules of fewer readers' })
      .example('$0 annotations LIDC-IDRI-0001', 'consensus nodules in mm')
      .example('$0 annotations LIDC-IDRI-0001 --draw pictures', "with each reader's contours in color")
      .example(
        "$0 annotations LIDC-IDRI --where 'malignancy >= 4 && readers >= 3 && diameter > 8'",
        'a query',
      )
      .example('$0 annotations tcia-lidc-xml --summary', 'count the marks of all XML files'),
  handler: async (flags) => {
    if (flags.summary) await printSummary(flags)
    else await printNodules(flags)
  },
}

async function printSummary({ folders, xml, json, warnings }: Flags): Promise<void> {
  const {
    summary,
    problems,
    warnings: found,
  } = await summarizeAnnotations(await findXml([...folders, ...xml]))
  process.stdout.write(json ? `${JSON.stringify(summary, null, 2)}\n` : summaryText(summary))
  if (warnings) for (const warning of found) process.stderr.write(`${warning}\n`)
  report(problems.map(({ error }) => error.message))
}

async function printNodules(flags: Flags): Promise<void> {
  let bar: Progress | undefined
  const run = await annotateFolders(flags.folders, {
    onProgress: (done, total) => {
      bar ??= progress('headers', total)
      bar.update(done)
    },
    xml: flags.xml,
    minReaders: flags['min-readers'],
    where: flags.where,
  })
  bar?.stop()
  if (run.annotated.length === 0) {
    // What could not be read is the likeliest reason, and says more.
    if (run.problems.length > 0) return report(run.problems)
    throw new NoduleError('FORMAT', 'no CT series with annotations', {
      path: flags.folders.join(', '),
      expected: 'DICOM slices and an XML file that names their series (--summary counts XML files alone)',
      actual: `${run.without.length} CT series, ${run.unused} readings of other series`,
    })
  }
  const json = `${JSON.stringify(annotationJson(run), null, 2)}\n`
  if (flags.output !== undefined) await writeFileAtomic(flags.output, json)
  if (flags.csv !== undefined) await writeFileAtomic(flags.csv, nodulesCsv(run.annotated))
  if (flags.luna !== undefined) await writeFileAtomic(flags.luna, lunaCsv(run.annotated))
  process.stdout.write(flags.json ? json : annotationTable(run))
  if (flags.draw !== undefined) {
    for (const one of run.annotated) {
      for (const path of await drawNodules(one, flags.draw)) process.stderr.write(`wrote ${path}\n`)
    }
  }
  for (const { reading, placed } of run.annotated) {
    if (flags.warnings)
      for (const warning of reading.warnings) process.stderr.write(`${reading.path}: ${warning}\n`)
    report(placed.unplaced.map((roi) => `${reading.path}: ${roi.noduleId}: not placed: ${roi.reason}`))
  }
  for (const series of run.without) process.stderr.write(`${series.folder}: no annotations for this series\n`)
  if (run.unused > 0) process.stderr.write(`${run.unused} readings of series that are not here\n`)
  if (run.cxr > 0) process.stderr.write(`${run.cxr} X-ray readings skipped\n`)
  report(run.problems)
}

/** Problems go to stderr and make the exit code 1. */
function report(problems: readonly string[]): void {
  for (const problem of problems) process.stderr.write(`${problem}\n`)
  if (problems.length > 0) process.exitCode = 1
}
