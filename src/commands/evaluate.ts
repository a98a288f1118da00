import type { CommandModule } from 'yargs'
import { DRAWN, evaluateFiles, tensorBoxText, writeOfficialFiles } from '../evaluation/index.js'
import type { Draw } from '../evaluation/index.js'
import { writeFileAtomic } from '../files.js'
import { printNote, printResult } from '../terminal/output.js'
import { evaluationCharts, writePlots } from '../report/plots.js'

interface Flags {
  predictions: string[] | undefined
  truth: string | undefined
  scans: string[] | undefined
  xml: string[] | undefined
  labels: string | undefined
  excluded: string | undefined
  series: string | undefined
  iou: number | undefined
  'min-score': number | undefined
  tau: number | undefined
  mismatch: 'error' | 'miss' | 'skip' | undefined
  'ignore-excluded': boolean
  'max-marks': number | undefined
  'min-readers': number | undefined
  official: boolean
  threshold: number | undefined
  bootstraps: number | undefined
  by: Draw['by'] | undefined
  seed: number | undefined
  output: string | undefined
  'luna-output': string | undefined
  rpc: string | undefined
  plots: string | undefined
}

export const command: CommandModule<object, Flags> = {
  command: 'evaluate',
  describe: 'Compare predictions with the truth',
  builder: (yargs) =>
    yargs
      .option('predictions', {
        type: 'string',
        array: true,
        describe:
          'TensorBox JSON lists with scores, folders of nodule detect, or, for whole scans, CSV files in LUNA16 format. Several are compared',
      })
      .option('truth', {
        type: 'string',
        describe: 'TensorBox JSON list of true boxes; or, for whole scans, a CSV of nodules in LUNA16 format',
      })
      .option('scans', {
        type: 'string',
        array: true,
        describe:
          "Instead of --truth: folders of scans with LIDC XML, at any depth; the readers' consensus is the truth",
      })
      .option('xml', {
        type: 'string',
        array: true,
        describe: 'With --scans: XML files, or folders of them, that lie elsewhere',
      })
      .option('labels', {
        type: 'string',
        describe: 'Instead: CSV with a column label (0 or 1) and columns probability... to judge scores',
      })
      .option('excluded', {
        type: 'string',
        describe: 'With a CSV of nodules: CSV of findings that count neither way',
      })
      .option('series', {
        type: 'string',
        describe: 'With whole scans: file with the series that count, one a line',
      })
      .option('iou', { type: 'number', describe: 'With lists: overlap from which a box is a hit [0.5]' })
      .option('min-score', {
        type: 'number',
        alias: 'min-conf',
        describe: 'With lists: leave out boxes below this confidence',
      })
      .option('tau', {
        type: 'number',
        describe:
          'With lists: stitch raw boxes first: of those that share this part of the smaller one the most confident counts (nodule detect has done it, by its --overlap)',
      })
      .option('mismatch', {
        choices: ['error', 'miss', 'skip'] as const,
        describe:
          'With lists: images without predictions: refuse, count as missed, or leave out as TensorBox does [error]',
      })
      .option('ignore-excluded', {
        type: 'boolean',
        default: false,
        describe:
          'With lists: boxes on findings that the list of true boxes names as excluded (too few readers, too small) count neither way; TensorBox counts them as false positives',
      })
      .option('max-marks', {
        type: 'number',
        describe: 'With whole scans: most probable marks of a scan that count; 0: all [100]',
      })
      .option('min-readers', {
        type: 'number',
        describe: 'With --scans: readers who must have outlined a nodule [3]',
      })
      .option('official', {
        type: 'boolean',
        default: false,
        describe:
          "Read --series as LUNA16's script does (every line a scan, repeated ones count again), round as it does, and drop what ties with the first mark beyond --max-marks",
      })
      .option('threshold', {
        type: 'number',
        describe: 'With --labels: score that is called positive [0.5]',
      })
      .option('bootstraps', {
        type: 'number',
        describe: 'With lists or whole scans: samples for intervals and comparisons; 0: no intervals [1000]',
      })
      .option('by', {
        choices: DRAWN,
        describe:
          'With lists: what the bootstrap draws (default: patients where every image tells its own by nodule.patientId, LIDC-IDRI-0001 or a series UID in its path, else images)',
      })
      .option('seed', { type: 'number', describe: 'With lists or whole scans: seed of the bootstrap [1]' })
      .option('output', { type: 'string', alias: 'o', describe: 'Also write the figures to this JSON file' })
      .option('luna-output', {
        type: 'string',
        describe: "With whole scans: write the text files of LUNA16's official script into this folder",
      })
      .option('rpc', {
        type: 'string',
        describe: "With lists: write the first one's curve as TensorBox's doRPC.py does to this file",
      })
      .option('plots', { type: 'string', describe: 'Write every curve as SVG and PNG into this folder' })
      .example(
        '$0 evaluate --predictions predictions.json --truth test.json -o evaluation.json',
        'AP, precision and recall of a list that nodule detect or TensorBox wrote',
      )
      .example(
        '$0 evaluate --predictions found --truth list/test.json',
        'the same of whole scans by both stages, on the slices of a list that nodule prepare wrote of them',
      )
      .example(
        '$0 evaluate --predictions found --scans LIDC-IDRI --plots plots',
        "sensitivity against false positives per scan, against the readers' consensus",
      )
      .example(
        '$0 evaluate --predictions a.csv b.csv --truth annotations.csv --excluded annotations_excluded.csv --series seriesuids.csv',
        "two detectors by LUNA16's protocol, compared",
      )
      .example('$0 evaluate --labels scores.csv', 'ROC, AUC, calibration of a classifier'),
  handler: async (flags) => {
    const { results, table, json, warnings } = await evaluateFiles({
      ...flags,
      minScore: flags['min-score'],
      ignoreExcluded: flags['ignore-excluded'],
      maxMarks: flags['max-marks'],
      minReaders: flags['min-readers'],
      lunaOutput: flags['luna-output'],
    })
    for (const warning of warnings) printNote(`warning: ${warning}`)
    if (flags.output !== undefined) await writeFileAtomic(flags.output, `${JSON.stringify(json)}\n`)
    if (flags.rpc !== undefined && 'slices' in results)
      await writeFileAtomic(flags.rpc, await tensorBoxText(flags.truth!, flags.predictions![0]!, flags))
    if (flags['luna-output'] !== undefined && 'scans' in results)
      await writeOfficialFiles(flags['luna-output'], results.scans)
    if (flags.plots !== undefined) await writePlots(flags.plots, evaluationCharts(results))
    printResult(json, table)
  },
}
