import type { CommandModule } from 'yargs'
import { segmentFolders, segmentTable } from '../pictures/index.js'
import { failedItems, longWork } from '../terminal/long_work.js'
import { printResult } from '../terminal/output.js'

interface Flags {
  folders: string[]
  output: string
  nifti: boolean
  montage: boolean
  closing: number
}

export const command: CommandModule<object, Flags> = {
  command: 'segment <folders..>',
  describe: 'Find the lungs: mask as NIfTI, montage as PNG, volumes',
  builder: (yargs) =>
    yargs
      .positional('folders', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'Folders with DICOM series',
      })
      .option('output', {
        type: 'string',
        alias: 'o',
        demandOption: true,
        describe: 'Folder for masks and pictures',
      })
      .option('nifti', { type: 'boolean', default: true, describe: 'Write masks: 1 right lung, 2 left' })
      .option('montage', { type: 'boolean', default: true, describe: 'Draw slice, mask and masked slice' })
      .option('closing', {
        type: 'number',
        default: 9,
        describe: 'Fill dents narrower than about twice this, mm',
      })
      .example('$0 segment LIDC-IDRI/LIDC-IDRI-0001 -o lungs', 'mask, montage and volumes of one patient'),
  handler: async (flags) => {
    const { done, failed, problems } = await longWork('lungs', async (tools) =>
      segmentFolders(flags.folders, {
        output: flags.output,
        nifti: flags.nifti,
        montage: flags.montage,
        closingMm: flags.closing,
        ...tools,
      }),
    )
    printResult({ scans: done, failed, problems }, () => segmentTable(done))
    if (failed > 0) failedItems()
  },
}
