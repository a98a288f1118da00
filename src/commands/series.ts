import type { CommandModule } from 'yargs'
import { findSeries, seriesJson, seriesTable } from '../dicom/index.js'
import { failedItems, longWork } from '../terminal/long_work.js'
import { printResult } from '../terminal/output.js'

interface Flags {
  folders: string[]
}

export const command: CommandModule<object, Flags> = {
  command: 'series <folders..>',
  describe: 'List the DICOM series in folders: size, spacing, vendor, problems',
  builder: (yargs) =>
    yargs
      .positional('folders', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'Folders or files',
      })
      .example('$0 series LIDC-IDRI', 'one line per series; reads headers only'),
  handler: async ({ folders }) => {
    const found = await longWork('headers', async ({ signal, onProgress }) =>
      findSeries(folders, { signal, onProgress }),
    )
    printResult(seriesJson(found), () => seriesTable(found))
    if (found.skipped.some((file) => file.kind === 'damaged')) failedItems()
  },
}
