import type { CommandModule } from 'yargs'
import { jsonToXml } from '../annotations/index.js'
import { describeError } from '../errors.js'
import { printFailure, printResult } from '../terminal/output.js'
import { append } from '../lists.js'

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
    for (const file of files) {
      try {
        append(written, await jsonToXml(file, output, taken))
      } catch (error) {
        if (files.length === 1) throw error
        printFailure(describeError(error))
        process.exitCode = 1
      }
    }
    printResult({ paths: written }, written.map((path) => `${path}\n`).join(''))
  },
}
