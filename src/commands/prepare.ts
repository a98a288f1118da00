import { join } from 'node:path'
import type { CommandModule } from 'yargs'
import { checkInteger, noEffect } from '../check.js'
import { parseHypes, readHypes } from '../config/hypes.js'
import { tellWithoutEffect, withoutEffect } from '../config/without_effect.js'
import { DEFAULT_BOX_RULE, preparedTable, prepareDataset, splitRule } from '../dataset/index.js'
import { readList } from '../dataset/index.js'
import type { PrepareOptions, SliceRule } from '../dataset/index.js'
import { drawBatches, drawDataset } from '../pictures/index.js'
import { lockFolder } from '../lock.js'
import { failedItems, longWork } from '../terminal/long_work.js'
import { printNote, printResult } from '../terminal/output.js'

interface Flags {
  inputs: string[]
  stacks: string | undefined
  insert: string | undefined
  insertions: number | undefined
  variants: number | undefined
  unread: boolean
  output: string
  xml: string[]
  hypes: string | undefined
  slices: 'all' | 'nodules' | 'ratio'
  negatives: number | undefined
  'min-readers': number
  'min-axial-diameter': number
  'min-box': number
  'pad-box': number
  encoding: 'gray8' | 'hu16'
  'max-thickness': number | undefined
  split: string | undefined
  folds: number | undefined
  'split-file': string | undefined
  seed: number | undefined
  jobs: number | undefined
  draw: number
  sheet: boolean
}

/** Flags that are not called as the parameters that they set. */
export const flagOf = {
  minAxialDiameterMm: 'min-axial-diameter',
  minBoxPx: 'min-box',
  padBoxPx: 'pad-box',
  maxThicknessMm: 'max-thickness',
}

/** Where nobody says otherwise: nodules in each copy, copies of each scan or stack. */
const INSERTED = { count: 12, variants: 8 }

export const command: CommandModule<object, Flags> = {
  command: 'prepare [inputs..]',
  describe: 'Turn scans and annotations into training frames and lists',
  builder: (yargs) =>
    yargs
      .positional('inputs', {
        type: 'string',
        array: true,
        default: [],
        describe: 'Folders with DICOM series and LIDC XML files, at any depth',
      })
      .option('stacks', {
        type: 'string',
        describe: 'Folder of nodule stacks (index.csv), beside scans or alone',
      })
      .option('insert', {
        type: 'string',
        describe:
          'Folder of nodule stacks whose nodules are put into copies of the scans and of the thick --stacks',
      })
      .option('insertions', {
        type: 'number',
        describe: `With --insert: nodules in each copy [${INSERTED.count}]`,
      })
      .option('variants', {
        type: 'number',
        describe: `With --insert: copies of each scan or stack [${INSERTED.variants}]`,
      })
      .option('unread', {
        type: 'boolean',
        default: false,
        describe: 'Also take scans without XML; what DICOM SEG objects outline is excluded',
      })
      .check(
        ({ inputs, stacks }) =>
          inputs.length > 0 || stacks !== undefined || 'Name folders of scans, or stacks by --stacks.',
      )
      .option('output', {
        type: 'string',
        alias: 'o',
        demandOption: true,
        describe: 'Folder of the data set',
      })
      .option('xml', {
        type: 'string',
        alias: 'annotations',
        array: true,
        default: [],
        describe: 'XML files, or folders of them, that lie elsewhere',
      })
      .option('hypes', {
        type: 'string',
        describe: 'Hypes file: frame size, window, neighbors, margin (default: 352 x 256)',
      })
      .option('slices', {
        choices: ['all', 'nodules', 'ratio'] as const,
        default: 'ratio' as const,
        describe: 'Slices that become frames: all, those with a box, or these and some without',
      })
      .option('negatives', {
        type: 'number',
        describe: 'With --slices ratio: slices without a box for each with one [1]',
      })
      .option('min-readers', {
        type: 'number',
        default: DEFAULT_BOX_RULE.minReaders,
        describe: 'Readers who must have marked a nodule',
      })
      .option('min-axial-diameter', {
        type: 'number',
        default: DEFAULT_BOX_RULE.minAxialDiameterMm,
        alias: 'min-diameter',
        describe: 'Smallest nodule by its axialDiameter (see nodule annotations), mm',
      })
      .option('min-box', {
        type: 'number',
        default: DEFAULT_BOX_RULE.minBoxPx,
        describe: 'Smallest side of a box, frame pixels',
      })
      .option('pad-box', {
        type: 'number',
        default: DEFAULT_BOX_RULE.padBoxPx,
        describe: 'Grow boxes to this side, frame pixels (the reference: 32)',
      })
      .option('encoding', {
        choices: ['gray8', 'hu16'] as const,
        default: 'gray8' as const,
        describe: 'Pixels: 8-bit gray levels, or 16-bit HU that are windowed in training',
      })
      .option('max-thickness', {
        type: 'number',
        describe: 'Leave out scans with slices thicker or further apart, mm (LUNA16: 2.5)',
      })
      .option('split', {
        type: 'string',
        describe: 'Fractions of the patients for train, val and test [0.7,0.1,0.2]',
      })
      .option('folds', { type: 'number', describe: 'Folds for cross-validation in place of the split' })
      .option('split-file', {
        type: 'string',
        describe: 'CSV with lines PATIENT_OR_SERIES,PART in place of the split',
      })
      .conflicts('split', ['folds', 'split-file'])
      .conflicts('folds', 'split-file')
      .option('seed', { type: 'number', describe: 'Seed of split and negatives (default: solver.rnd_seed)' })
      .option('jobs', {
        type: 'number',
        alias: 'j',
        describe: 'Scans at a time (default: the threads, where memory allows)',
      })
      .option('draw', {
        type: 'number',
        default: 0,
        describe: 'Also draw this many frames with boxes, to look at',
      })
      .option('sheet', {
        type: 'boolean',
        default: false,
        describe: 'Also draw training frames as --hypes varies them, to OUTPUT/check/varied.png',
      })
      .example('$0 prepare LIDC-IDRI -o dataset', 'frames, train.json, val.json, test.json, manifest.json')
      .example('$0 prepare scans --xml tcia-lidc-xml -o dataset --folds 10', 'ten folds')
      .example(
        '$0 prepare --stacks stacks --xml tcia-lidc-xml --hypes hypes.json -o dataset',
        'real nodules without their scans',
      )
      .example(
        '$0 prepare LIDC-IDRI -o dataset --slices all --draw 12',
        'every slice, and pictures to check',
      ),
  handler: async (flags) => {
    const insertion = insertionOf(flags)
    const slices = slicesOf(flags)
    const draw = checkInteger('draw', flags.draw, 0, 10000)
    const onWarning = (warning: string): void => printNote(`warning: ${warning}`)
    const hypes = flags.hypes === undefined ? parseHypes({}) : readHypes(flags.hypes, [], onWarning)
    // As the training would tell what the sheet does not show.
    if (flags.sheet && flags.hypes !== undefined)
      tellWithoutEffect(flags.hypes, withoutEffect(hypes), onWarning)
    // Given back when the process ends.
    await lockFolder(flags.output, 'preparing data')
    const result = await longWork(
      'prepare',
      async (tools) =>
        prepareDataset({
          inputs: flags.inputs,
          stacks: flags.stacks,
          insertion,
          unread: flags.unread,
          annotations: flags.xml,
          output: flags.output,
          hypes,
          slices,
          boxes: {
            minReaders: flags['min-readers'],
            minAxialDiameterMm: flags['min-axial-diameter'],
            minBoxPx: flags['min-box'],
            padBoxPx: flags['pad-box'],
          },
          encoding: flags.encoding,
          maxThicknessMm: flags['max-thickness'],
          split: splitRule(flags.split ?? '0.7,0.1,0.2', flags.folds, flags['split-file']),
          seed: flags.seed,
          jobs: flags.jobs,
          ...tools,
        }),
      { notice: 'stopping after the scans at hand; press Ctrl-C again to stop at once' },
    )
    const drawn = draw > 0 ? await drawDataset(flags.output, result.manifest, draw) : []
    const train = result.manifest.lists.find(({ file }) => /^(?:train|fold-\d+-train)\.json$/.test(file))
    if (flags.sheet && train !== undefined && train.frames > 0) {
      const sheet = join(flags.output, 'check', 'varied.png')
      await drawBatches(readList(join(flags.output, train.file)), hypes, sheet, { onWarning })
      drawn.push(sheet)
    } else if (flags.sheet) onWarning('no sheet: no training list has frames')
    printResult(result.manifest, () => preparedTable(flags.output, result, drawn))
    const { failed, damaged } = result.manifest
    if (failed.length + damaged.length > 0) failedItems()
  },
}

function slicesOf({ slices, negatives }: Flags): SliceRule {
  if (slices === 'ratio') return { kind: slices, negatives: negatives ?? 1 }
  if (negatives !== undefined) throw noEffect('negatives', '--slices ratio', `--slices ${slices}`)
  return { kind: slices }
}

function insertionOf({ insert, insertions, variants }: Flags): PrepareOptions['insertion'] {
  if (insert !== undefined)
    return {
      stacks: insert,
      count: insertions ?? INSERTED.count,
      variants: variants ?? INSERTED.variants,
    }
  for (const [name, value] of Object.entries({ insertions, variants }))
    if (value !== undefined) throw noEffect(name, '--insert with the stacks of the nodules', 'none')
  return undefined
}
