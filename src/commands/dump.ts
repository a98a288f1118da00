import type { CommandModule } from 'yargs'
import { dumpFile } from '../dicom/index.js'
import { describeError } from '../errors.js'

interface Flags {
  files: string[]
  meta: boolean
}

export const command: CommandModule<object, Flags> = {
  command: 'dump <files..>',
  describe: 'Print the tags of DICOM files',
  builder: (yargs) =>
    yargs
      .positional('files', { type: 'string', array: true, demandOption: true, describe: 'DICOM files' })
      .option('meta', {
        type: 'boolean',
        default: false,
        describe: 'Also print the file meta information (group 0002)',
      })
      .example('$0 dump 000001.dcm', 'one line per tag: tag, name, VR, value'),
  handler: async ({ files, meta }) => {
    for (const file of files) {
      if (files.length > 1) process.stdout.write(`# ${file}\n`)
      try {
        const { lines, stopped } = await dumpFile(file, { meta })
        process.stdout.write(lines.map((line) => `${line}\n`).join(''))
        if (stopped === undefined) continue
        process.stderr.write(`${file}: stopped early: ${stopped}\n`)
      } catch (error) {
        if (files.length === 1) throw error
        process.stderr.write(`${describeError(error)}\n`)
      }
      process.exitCode = 1
    }
  },
}
