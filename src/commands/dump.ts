import type { CommandModule } from 'yargs'
import { dumpFile } from '../dicom/index.js'
import { describeError } from '../errors.js'

interface Flags {
  files: string[]
  meta: boolean
  json: boolean
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
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'Print the DICOM JSON model (PS3.18 Annex F)',
      })
      .example('$0 dump 000001.dcm', 'one line per tag: tag, name, VR, value'),
  handler: async ({ files, meta, json }) => {
    for (const file of files) {
      if (files.length > 1) process[json ? 'stderr' : 'stdout'].write(`# ${file}\n`)
      try {
        const { text, stopped } = await dumpFile(file, { meta, json })
        process.stdout.write(text)
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
