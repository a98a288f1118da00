import type { CommandModule } from 'yargs'
import { dumpFile } from '../dicom/index.js'
import { NoduleError, describeError } from '../errors.js'
import { outputLost, printFailure, printPiece, wantsJson } from '../terminal/output.js'

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
      .example('$0 dump 000001.dcm', 'one line per tag: tag, name, VR, value')
      .example(
        '$0 dump 000001.dcm --json',
        'the DICOM JSON model (PS3.18 Annex F); an array for several files',
      ),
  handler: async ({ files, meta }) => {
    const json = wantsJson()
    if (json && meta) {
      throw new NoduleError('INVALID_PARAMETER', 'the DICOM JSON model has no file meta information', {
        parameter: 'meta',
        expected: 'none with --json (PS3.18, F.2)',
      })
    }
    // A document at a time: many files do not fit into one string.
    const several = json && files.length > 1
    if (several) printPiece('[\n')
    for (const [index, file] of files.entries()) {
      if (outputLost()) break
      if (files.length > 1 && !json) printPiece(`# ${file}\n`)
      let piece = several ? 'null\n' : ''
      try {
        const { text, stopped } = await dumpFile(file, { meta, json })
        piece = text
        if (stopped !== undefined) failed(`${file}: stopped early: ${stopped}`)
      } catch (error) {
        if (files.length === 1) throw error
        failed(describeError(error))
      }
      printPiece(piece)
      if (several && index < files.length - 1) printPiece(',\n')
    }
    if (several) printPiece(']\n')
  },
}

function failed(message: string): void {
  printFailure(message)
  process.exitCode = 1
}
