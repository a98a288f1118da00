import type { CommandModule } from 'yargs'
import { kernelNames, writePhantoms } from '../phantom/index.js'
import { longWork } from '../terminal/long_work.js'
import { printResult } from '../terminal/output.js'
import { count } from '../words.js'

interface Flags {
  output: string
  patients: number
  first: number
  seed: number
  jobs: number | undefined
  matrix: number
  spacing: number
  thickness: number | undefined
  slices: number | undefined
  nodules: number | undefined
  'min-diameter': number | undefined
  'max-diameter': number | undefined
  contrast: boolean | undefined
  noise: number | undefined
  kernel: string | undefined
  hard: boolean
}

/** Flags that are not called as the parameters that they set. */
export const flagOf = {
  'nodules[0]': 'nodules',
  'nodules[1]': 'nodules',
  'diameter[0]': 'min-diameter',
  'diameter[1]': 'max-diameter',
}

export const command: CommandModule<object, Flags> = {
  command: 'phantom',
  describe: 'Make synthetic LIDC patients: DICOM, four readers in LIDC XML, exact truth in JSON',
  builder: (yargs) =>
    yargs
      .option('output', {
        type: 'string',
        alias: 'o',
        demandOption: true,
        describe: 'Folder for the patients',
      })
      .option('patients', { type: 'number', default: 1, describe: 'How many' })
      .option('first', { type: 'number', default: 1, describe: 'Number of the first: PHANTOM-0001' })
      .option('seed', { type: 'number', default: 1, describe: 'The same seed gives the same patients' })
      .option('jobs', {
        type: 'number',
        alias: 'j',
        describe: 'Patients at a time (default: the threads, where memory allows)',
      })
      .option('matrix', { type: 'number', default: 512, describe: 'Rows and columns of a slice' })
      .option('spacing', { type: 'number', default: 2.5, describe: 'Distance of the slices, mm' })
      .option('thickness', { type: 'number', describe: 'Slice thickness, mm; default the distance' })
      .option('slices', { type: 'number', describe: 'Number of slices; default what covers the lungs' })
      .option('nodules', { type: 'number', describe: 'Nodules in each patient; default 2 to 6' })
      .option('min-diameter', {
        type: 'number',
        describe: 'Diameter of the smallest nodules, mm; default 4, with --hard 3.2',
      })
      .option('max-diameter', {
        type: 'number',
        describe: 'Diameter of the largest nodules, mm; default 30, with --hard 14',
      })
      .option('contrast', { type: 'boolean', describe: 'With or without contrast agent; default either' })
      .option('noise', {
        type: 'number',
        describe: 'Standard deviation of the noise, HU; default by kernel and dose',
      })
      .option('kernel', { choices: kernelNames, describe: 'Convolution kernel; default at random' })
      .option('hard', {
        type: 'boolean',
        default: false,
        describe: 'Small, faint nodules; low dose; many look-alikes',
      })
      .example('$0 phantom -o phantoms --patients 6 --seed 7', 'six patients to train a small model on')
      .example('$0 phantom -o one --matrix 256 --spacing 5 --nodules 1', 'one small scan with one nodule'),
  handler: async (flags) => {
    const written = await longWork('phantoms', async ({ signal, onProgress }) =>
      writePhantoms(flags.output, {
        patients: flags.patients,
        first: flags.first,
        seed: flags.seed,
        ...(flags.jobs === undefined ? {} : { jobs: flags.jobs }),
        matrix: flags.matrix,
        spacing: flags.spacing,
        ...(flags.thickness === undefined ? {} : { thickness: flags.thickness }),
        ...(flags.slices === undefined ? {} : { slices: flags.slices }),
        ...(flags.nodules === undefined ? {} : { nodules: flags.nodules }),
        diameter: [flags['min-diameter'], flags['max-diameter']],
        ...(flags.contrast === undefined ? {} : { contrast: flags.contrast }),
        ...(flags.noise === undefined ? {} : { noise: flags.noise }),
        ...(flags.kernel === undefined ? {} : { kernel: flags.kernel }),
        hard: flags.hard,
        ...{ signal, onProgress },
      }),
    )
    const line = ({ patientId, nodules, folder }: (typeof written)[number]): string =>
      `${patientId}  ${count(nodules, 'nodule')}  ${folder}\n`
    printResult(written, written.map(line).join(''))
  },
}
