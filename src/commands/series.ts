import type { CommandModule } from 'yargs'
import { findSeries, seriesJson, seriesTable } from '../dicom/index.js'
import { onInterrupt } from '../interrupt.js'
import { progress } from '../progress.js'
import type { Progress } from '../progress.js'

interface Flags {
  folders: string[]
  json: boolean
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
      .option('json', { type: 'boolean', default: false, describe: 'Print JSON instead of the table' })
      .example('$0 series LIDC-IDRI', 'one line per series; reads headers only'),
  handler: async ({ folders, json }) => {
    const { interrupted, release } = onInterrupt()
    let bar: Progress | undefined
    const found = await findSeries(folders, {
      interrupted,
      onProgress: (done, total) => {
        bar ??= progress('headers', total)
        bar.update(done)
      },
    })
    bar?.stop()
    release()
    process.stdout.write(json ? `${JSON.stringify(seriesJson(found), null, 2)}\n` : seriesTable(found))
    if (found.skipped.some((file) => file.kind === 'damaged')) process.exitCode = 1
  },
}
