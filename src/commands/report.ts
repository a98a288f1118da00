import type { CommandModule } from 'yargs'
import { isStdout, printNote, printResult } from '../terminal/output.js'
import { writeReport } from '../report/write_report.js'
import { count } from '../words.js'
import { checkNoInput } from '../files.js'

interface Flags {
  run: string | undefined
  output: string
  title: string | undefined
  log: string | undefined
  hypes: string | undefined
  truth: string | undefined
  predictions: string | undefined
  evaluation: string | undefined
  compare: string[] | undefined
  detections: string | undefined
  scans: string[] | undefined
  xml: string[] | undefined
  reference: string | undefined
  excluded: string | undefined
  series: string | undefined
  iou: number | undefined
  'min-score': number | undefined
  tau: number | undefined
  mismatch: 'error' | 'miss' | 'skip' | undefined
  'ignore-excluded': boolean
  'max-pictures': number
  plots: string | undefined
  bootstraps: number
  seed: number
}

export const command: CommandModule<object, Flags> = {
  command: 'report [run]',
  describe: 'Write one HTML page about a run',
  builder: (yargs) =>
    yargs
      .positional('run', {
        type: 'string',
        describe:
          'Folder of a run, or one that detect wrote; its true boxes are the test list that run.jsonl names; log.jsonl, hypes.json, test.json, predictions.json, evaluation.json and detections/ are looked for in it and two folders below',
      })
      .option('output', {
        type: 'string',
        alias: 'o',
        default: 'report.html',
        describe: 'The page: one file that opens offline',
      })
      .option('title', { type: 'string', describe: 'Title of the page' })
      .option('log', { type: 'string', describe: "Training log (train's log.jsonl)" })
      .option('hypes', { type: 'string', describe: 'Hypes of the run' })
      .option('truth', { type: 'string', describe: 'TensorBox JSON list of true boxes' })
      .option('predictions', { type: 'string', describe: 'TensorBox JSON list with scores' })
      .option('evaluation', {
        type: 'string',
        describe: 'Figures of nodule evaluate, where the lists are not at hand',
      })
      .option('detections', { type: 'string', describe: "Folder of nodule detect's JSON files" })
      .option('compare', {
        type: 'string',
        array: true,
        describe:
          'Other runs beside this one, with p-values and training curves: folders of runs or detections, TensorBox lists, CSV of LUNA16 marks, log.jsonl',
      })
      .option('scans', {
        type: 'string',
        array: true,
        describe: 'Folders of the scans with LIDC XML, at any depth: pictures and true nodules in 3-D',
      })
      .option('xml', {
        type: 'string',
        array: true,
        describe: 'With --scans: XML files, or folders of them, that lie elsewhere',
      })
      .option('reference', { type: 'string', describe: "True nodules in LUNA16's CSV format instead" })
      .option('excluded', { type: 'string', describe: 'Findings that count neither way, same format' })
      .option('series', {
        type: 'string',
        describe:
          'File with the series that count, one a line [those of the XML; with --reference those that were examined]',
      })
      .option('iou', { type: 'number', describe: 'Overlap from which a slice box is a hit [0.5]' })
      .option('min-score', { type: 'number', describe: 'Leave out slice boxes below this confidence' })
      .option('tau', {
        type: 'number',
        describe: 'Stitch raw slice boxes first: of those that share this part, the most confident counts',
      })
      .option('mismatch', {
        choices: ['error', 'miss', 'skip'] as const,
        describe: 'Images without predictions: refuse, count as missed, or leave out [error]',
      })
      .option('ignore-excluded', {
        type: 'boolean',
        default: false,
        describe: 'Boxes on findings that the list of true boxes names as excluded count neither way',
      })
      .option('max-pictures', { type: 'number', default: 300, describe: 'Slices that the page shows' })
      .option('plots', { type: 'string', describe: 'Also write its curves as SVG and PNG into this folder' })
      .option('bootstraps', {
        type: 'number',
        default: 1000,
        describe: 'Samples for the 95 % intervals; 0: none',
      })
      .option('seed', { type: 'number', default: 1, describe: 'Seed of the bootstrap' })
      .example('$0 report runs/first -o report.html', 'everything that the run folder holds')
      .example('$0 report runs/first --compare runs/second -o report.html', 'two runs on the same test set')
      .example(
        '$0 report --detections found --scans LIDC-IDRI -o report.html',
        'nodules found in scans, against the readers',
      ),
  handler: async (flags) => {
    const { log, hypes, truth, predictions, evaluation, detections, reference, excluded, series } = flags
    const inputs = [log, hypes, truth, predictions, evaluation, detections, reference, excluded, series]
    await checkNoInput(flags.output, [
      ...inputs,
      ...(flags.compare ?? []),
      ...(flags.scans ?? []),
      ...(flags.xml ?? []),
    ])
    const report = await writeReport({
      ...flags,
      minScore: flags['min-score'],
      ignoreExcluded: flags['ignore-excluded'],
      maxPictures: flags['max-pictures'],
    })
    for (const warning of report.warnings) printNote(`warning: ${warning}`)
    const megabytes = (report.bytes / 1e6).toFixed(1)
    const made = `${report.path}: ${megabytes} MB, ${count(report.pictures, 'picture')}`
    if (isStdout(flags.output)) printNote(made)
    else printResult(report.figures, `${made}\n`)
  },
}
