import type { CommandModule } from 'yargs'
import { jsonToXml } from '../annotations/index.js'
import { describeError } from '../errors.js'
import { isMarkups } from '../inference/markups.js'
import { printFailure, printNote, printResult } from '../terminal/output.js'
import { append } from '../lists.js'
import { count } from '../words.js'

interface Flags {
  files: string[]
  output: string
}

export const command: CommandModule<object, Flags> = {
  command: 'to-xml <files..>',
  describe: 'Write JSON of annotations or detections as LIDC XML',
  builder: (yargs) =>
    yargs
      .positional('files', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'JSON files of "nodule annotations" or "nodule detect"',
      })
      .option('output', {
        alias: 'o',
        type: 'string',
        demandOption: true,
        describe: 'Folder for the XML files',
      })
      .example('$0 to-xml detections/*.json -o xml', 'what was found, for other LIDC tools'),
  handler: async ({ files, output }) => {
    const written: string[] = []
    const taken = new Set<string>()
    // A wildcard over the folder of detect names its markups too.
    const results = files.filter((file) => !isMarkups(file))
    const named = results.length > 0 ? results : files
    if (named.length < files.length)
      printNote(
        `left out: ${count(files.length - named.length, 'file')} of markups, which hold the nodules of the others`,
      )
    for (const file of named) {
      try {
        append(written, await jsonToXml(file, output, taken))
      } catch (error) {
        if (named.length === 1) throw error
        printFailure(describeError(error))
        process.exitCode = 1
      }
    }
    printResult({ paths: written }, written.map((path) => `${path}\n`).join(''))
  },
}
