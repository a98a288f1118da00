import type { CommandModule } from 'yargs'
import { anonymizeFiles, checkPatientId } from '../dicom/index.js'
import { checkOutside, makeOutputFolder } from '../files.js'
import { failedItems, longWork } from '../terminal/long_work.js'
import { printFailure, printNote, printResult } from '../terminal/output.js'
import { agree, count } from '../words.js'

interface Flags {
  inputs: string[]
  output: string
  key: string | undefined
  'keep-uids': boolean
  'keep-patient': boolean
  'keep-device': boolean
  dates: 'remove' | 'keep' | 'shift'
  'patient-id': string | undefined
}

export const command: CommandModule<object, Flags> = {
  command: 'anonymize <inputs..>',
  describe: 'Write de-identified copies of DICOM files',
  builder: (yargs) =>
    yargs
      .positional('inputs', { type: 'string', array: true, demandOption: true, describe: 'Folders or files' })
      .option('output', { alias: 'o', type: 'string', demandOption: true, describe: 'Folder for the copies' })
      .option('key', {
        type: 'string',
        describe:
          'Secret behind pseudonyms and UIDs: the same key gives the same ones; default: a random one',
      })
      .option('patient-id', {
        type: 'string',
        describe: 'New Patient ID for all, printable ASCII; default: a pseudonym each',
      })
      .option('keep-uids', { type: 'boolean', default: false, describe: 'Keep UIDs (113110)' })
      .option('keep-patient', {
        type: 'boolean',
        default: false,
        describe: 'Keep sex, age, size, weight, ethnic group, pregnancy and smoking (113108)',
      })
      .option('keep-device', {
        type: 'boolean',
        default: false,
        describe: 'Keep names, places, serial numbers and calibration dates of the device (113109)',
      })
      .option('dates', {
        choices: ['remove', 'keep', 'shift'] as const,
        default: 'remove' as const,
        describe: 'Dates: basic profile, kept (113106), or moved by days per patient (113107)',
      })
      .example('$0 anonymize hospital -o shared', 'basic profile of PS3.15 Annex E')
      .example('$0 anonymize hospital -o shared --dates shift --keep-patient', "close to LIDC's own"),
  handler: async (flags) => {
    checkPatientId(flags['patient-id'])
    // Copies among the originals would be taken for originals the next time.
    await checkOutside(flags.output, flags.inputs)
    await makeOutputFolder(flags.output)
    let isStopped = false
    const result = await longWork('files', async (tools) => {
      const tree = await anonymizeFiles(flags.inputs, flags.output, {
        key: flags.key,
        keepUids: flags['keep-uids'],
        keepPatient: flags['keep-patient'],
        keepDevice: flags['keep-device'],
        dates: flags.dates,
        patientId: flags['patient-id'],
        ...tools,
      })
      isStopped = tools.signal.aborted
      return tree
    })
    const { written, foreign, packed, problems, warnings } = result
    printResult(
      {
        output: flags.output,
        written,
        foreign,
        packed,
        problems: problems.map(({ error }) => error.message),
        warnings,
      },
      `${count(written, 'file')} written below ${flags.output}\n`,
    )
    for (const { path, reason } of packed) printNote(`${path}: not copied: ${reason}`)
    const others = foreign.length - packed.length
    if (others > 0)
      printNote(`not copied: ${count(others, 'file')} that ${agree(others, 'is', 'are')} not DICOM`)
    for (const { error } of problems) printFailure(`not written: ${error.message}`)
    const isNone = written === 0 && problems.length === 0 && !isStopped
    if (isNone)
      printFailure(
        `nothing written: ${foreign.length === 0 ? 'there are no files' : `${count(foreign.length, 'file')}, but no DICOM`}`,
      )
    if (isNone || problems.length > 0) failedItems()
  },
}
