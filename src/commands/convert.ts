import type { CommandModule } from 'yargs'
import { failedItems } from '../terminal/long_work.js'
import { printFailure, printNote, printResult } from '../terminal/output.js'
import { convertSeries } from '../scans/index.js'

interface Flags {
  inputs: string[]
  output: string
  series: string | undefined
  compress: boolean
}

export const command: CommandModule<object, Flags> = {
  command: 'convert <inputs..>',
  describe: 'Write a scan as NIfTI or MetaImage, in HU',
  builder: (yargs) =>
    yargs
      .positional('inputs', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'A folder of DICOM slices, or an .mhd, .mha, .nii or .nii.gz file',
      })
      .option('output', {
        alias: 'o',
        type: 'string',
        demandOption: true,
        describe: 'The file: .nii, .nii.gz, .mhd or .mha',
      })
      .option('series', {
        type: 'string',
        describe: 'Part of the Series Instance UID, where there are several',
      })
      .option('compress', { type: 'boolean', default: false, describe: 'Deflate the voxels of a MetaImage' })
      .example('$0 convert LIDC-IDRI-0001 -o 0001.nii.gz', 'for viewers and Python')
      .example('$0 convert LIDC-IDRI-0001 -o 0001.mhd', "as LUNA16's files"),
  handler: async ({ inputs, output, series, compress }) => {
    const { paths, warnings, damaged } = await convertSeries(inputs, output, { series, compress })
    const lost = damaged.map(({ path, reason }) => `${path}: ${reason}`)
    for (const line of lost) printFailure(`failed: ${line}`)
    for (const warning of warnings) printNote(`warning: ${warning}`)
    printResult({ paths, warnings: [...lost, ...warnings] }, paths.map((path) => `${path}\n`).join(''))
    if (lost.length > 0) failedItems()
  },
}
