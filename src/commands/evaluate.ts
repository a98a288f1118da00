import type { CommandModule } from 'yargs'
import { evaluateListFiles, sliceTable } from '../evaluation/index.js'

interface Flags {
  predictions: string
  truth: string
  iou: number
  'min-score': number | undefined
  mismatch: 'error' | 'miss' | 'skip'
  output: string | undefined
  json: boolean
}

export const command: CommandModule<object, Flags> = {
  command: 'evaluate',
  describe: 'Compare predictions with the truth',
  builder: (yargs) =>
    yargs
      .option('predictions', {
        type: 'string',
        demandOption: true,
        describe: 'TensorBox JSON list with scores',
      })
      .option('truth', { type: 'string', demandOption: true, describe: 'TensorBox JSON list of true boxes' })
      .option('iou', { type: 'number', default: 0.5, describe: 'Overlap from which a box is a hit' })
      .option('min-score', { type: 'number', describe: 'Leave out detections below this confidence' })
      .option('mismatch', {
        choices: ['error', 'miss', 'skip'] as const,
        default: 'error' as const,
        describe: 'Images without predictions: refuse, count as missed, or leave out as TensorBox does',
      })
      .option('output', { type: 'string', alias: 'o', describe: 'Also write the figures to this JSON file' })
      .option('json', { type: 'boolean', default: false, describe: 'Print JSON instead of the table' })
      .example(
        '$0 evaluate --predictions predictions.json --truth test.json -o evaluation.json',
        'AP, precision and recall of a list that nodule detect or TensorBox wrote',
      ),
  handler: async (flags) => {
    const result = await evaluateListFiles(flags.truth, flags.predictions, {
      iou: flags.iou,
      minScore: flags['min-score'],
      mismatch: flags.mismatch,
      output: flags.output,
    })
    for (const warning of result.warnings) process.stderr.write(`warning: ${warning}\n`)
    process.stdout.write(flags.json ? `${JSON.stringify(result, null, 2)}\n` : sliceTable(result))
  },
}
