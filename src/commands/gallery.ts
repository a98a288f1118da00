import type { CommandModule } from 'yargs'
import { drawGallery } from '../pictures/index.js'
import { failedItems, longWork } from '../terminal/long_work.js'
import { printResult } from '../terminal/output.js'

interface Flags {
  folders: string[]
  output: string
  xml: string[]
  forms: boolean
  anatomy: boolean
  contours: boolean
  'min-readers': number
  'per-form': number | undefined
}

export const command: CommandModule<object, Flags> = {
  command: 'gallery <folders..>',
  describe: "Draw nodules by form, the anatomy by HU class, and the readers' contours",
  builder: (yargs) =>
    yargs
      .positional('folders', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'Folders with DICOM series and their LIDC XML',
      })
      .option('output', {
        type: 'string',
        alias: 'o',
        demandOption: true,
        describe: 'Folder for the pictures',
      })
      .option('xml', {
        type: 'string',
        array: true,
        default: [],
        describe: 'XML files, or folders of them, that lie elsewhere',
      })
      .option('forms', { type: 'boolean', default: true, describe: 'Draw forms.png' })
      .option('anatomy', { type: 'boolean', default: true, describe: 'Draw the anatomy of each scan' })
      .option('contours', {
        type: 'boolean',
        default: true,
        describe: "Draw the readers' contours of each nodule",
      })
      .option('min-readers', { type: 'number', default: 1, describe: 'Leave out nodules with fewer readers' })
      .option('per-form', { type: 'number', describe: 'With forms.png: most nodules of one form [8]' })
      .example('$0 gallery LIDC-IDRI -o pictures --min-readers 3', 'what the readers agree on, in pictures'),
  handler: async (flags) => {
    const { paths, failed, problems } = await longWork('gallery', async (tools) =>
      drawGallery(flags.folders, {
        output: flags.output,
        xml: flags.xml,
        forms: flags.forms,
        anatomy: flags.anatomy,
        contours: flags.contours,
        minReaders: flags['min-readers'],
        perForm: flags['per-form'],
        ...tools,
      }),
    )
    printResult({ paths, failed, problems }, paths.map((path) => `${path}\n`).join(''))
    if (failed > 0) failedItems()
  },
}
