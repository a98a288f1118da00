import { join } from 'node:path'
import type { CommandModule } from 'yargs'
import { checkInteger, noEffect } from '../check.js'
import { readPatchHypes } from '../config/patch_hypes.js'
import { splitRule } from '../dataset/index.js'
import type { InsertionPlan } from '../dataset/index.js'
import { NoduleError } from '../errors.js'
import { SESSION_DEVICES, openSession } from '../inference/index.js'
import type { Session, SessionDevice } from '../inference/index.js'
import { lockFolder } from '../lock.js'
import { failedItems, longWork } from '../terminal/long_work.js'
import { MINE_DEFAULTS, mine } from '../mining/index.js'
import type { MineOptions, MineResult } from '../mining/index.js'
import { printResult } from '../terminal/output.js'
import { PACKAGE_ROOT } from '../version.js'
import { count } from '../words.js'

interface Flags {
  scans: string[]
  stacks: string | undefined
  xml: string[]
  model: string | undefined
  output: string
  hypes: string | undefined
  'min-score': number | undefined
  'max-marks': number | undefined
  'split-file': string | undefined
  part: string | undefined
  lists: string[]
  unread: boolean
  insertions: number
  variants: number | undefined
  magnify: string | undefined
  seed: number
  device: SessionDevice | undefined
  threads: number | undefined
  resume: boolean
}

export const command: CommandModule<object, Flags> = {
  command: 'mine [scans..]',
  describe: 'Run a model over known scans: cubes and false marks to train on',
  builder: (yargs) =>
    yargs
      .positional('scans', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: 'Folders of DICOM with their LIDC XML (patients, phantoms)',
      })
      .option('stacks', { type: 'string', describe: 'Folder of nodule stacks (index.csv)' })
      .option('xml', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: 'Further folders with LIDC XML files',
      })
      .option('model', {
        type: 'string',
        alias: 'm',
        describe: 'First stage (nodule export); without it only nodules and background become cubes',
      })
      .option('output', {
        type: 'string',
        alias: 'o',
        demandOption: true,
        describe: 'Folder of the cubes: cubes.bin, cubes.jsonl',
      })
      .option('hypes', {
        type: 'string',
        describe: 'Hypes of the second stage, which say what a cube is (default: hypes/lung_second.json)',
      })
      .option('min-score', {
        type: 'number',
        describe: `With --model: leave out marks below this confidence [${MINE_DEFAULTS.minScore}]`,
      })
      .option('max-marks', {
        type: 'number',
        describe: `With --model: the most confident marks of a volume that are kept [${MINE_DEFAULTS.maxMarks}]`,
      })
      .option('split-file', {
        type: 'string',
        describe: 'CSV with lines PATIENT_OR_SERIES,PART: only those of --part',
      })
      .option('part', { type: 'string', describe: 'Part of the split file, such as train' })
      .option('lists', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe:
          'With --model: lists of frames (nodule prepare) whose entries get the false marks, in place',
      })
      .option('unread', {
        type: 'boolean',
        default: false,
        describe: 'Scans without XML too; what their DICOM segmentations outline is neither right nor wrong',
      })
      .option('insertions', {
        type: 'number',
        default: 0,
        describe:
          'Instead of the scans: copies of them, or without scans of the thick stacks, with so many nodules of --stacks put in (--part names the donors)',
      })
      .option('variants', {
        type: 'number',
        describe: 'Copies of each scan or stack (--insertions) [1]',
      })
      .option('magnify', {
        type: 'string',
        describe:
          'LOW,HIGH: make masses of the nodules put in, of a size drawn from these on, mm (--insertions)',
      })
      .option('seed', { type: 'number', default: MINE_DEFAULTS.seed, describe: 'Seed of the random points' })
      .option('device', {
        choices: SESSION_DEVICES,
        describe: 'With --model: where it runs [auto]',
      })
      .option('threads', {
        type: 'number',
        describe: 'With --model: CPU threads (default: NODULE_THREADS, else the cores)',
      })
      .option('resume', {
        type: 'boolean',
        default: false,
        describe: 'Add to the cubes that are there; volumes that have theirs are left as they are',
      })
      .check(
        ({ scans, stacks }) =>
          scans.length > 0 || stacks !== undefined || 'Name folders of scans, or stacks by --stacks.',
      )
      .check(
        (flags) =>
          (flags['split-file'] === undefined) === (flags.part === undefined) ||
          'Name both --split-file and --part, or neither.',
      )
      .example(
        '$0 mine --stacks stacks --xml lidc-xml -m first.onnx --split-file split.csv --part train -o cubes/train',
        'cubes of the training patients',
      ),
  handler: async (flags) => {
    const hypes = readPatchHypes(flags.hypes ?? join(PACKAGE_ROOT, 'hypes', 'lung_second.json'))
    const wanted = partOf(flags['split-file'], flags.part)
    const insertion = insertionOf(flags)
    checkModelOptions(flags)
    // Given back when the process ends.
    await lockFolder(flags.output, 'mining')
    const session = await sessionOf(flags)
    try {
      const result = await longWork('mine', async (tools) =>
        mine({
          ...tools,
          session,
          hypes,
          wanted,
          scans: flags.scans,
          stacks: flags.stacks,
          xml: flags.xml,
          output: flags.output,
          lists: flags.lists,
          unread: flags.unread,
          insertion,
          resume: flags.resume,
          rule: ruleOf(flags),
        }),
      )
      if (result.interrupted)
        throw new NoduleError('INTERRUPTED', 'interrupted; --resume goes on where this run stopped')
      printResult(result, () => summary(result, flags))
      if (result.failed > 0) failedItems()
    } finally {
      await session?.release()
    }
  },
}

function checkModelOptions({ model, device, threads }: Flags): void {
  if (model !== undefined) return
  for (const [name, value] of Object.entries({ device, threads }))
    if (value !== undefined) throw noEffect(name, '--model with the first stage', 'none')
}

async function sessionOf({ model, device, threads }: Flags): Promise<Session | undefined> {
  if (model === undefined) return undefined
  return openSession(model, {
    ...(device === undefined ? {} : { device }),
    ...(threads === undefined ? {} : { threads }),
  })
}

/** What was given: without a model an option about its marks is refused. */
function ruleOf({ 'min-score': minScore, 'max-marks': maxMarks, seed }: Flags): MineOptions['rule'] {
  return {
    ...(minScore === undefined ? {} : { minScore }),
    ...(maxMarks === undefined ? {} : { maxMarks }),
    seed,
  }
}

function insertionOf({ insertions, variants, magnify, seed, stacks }: Flags): InsertionPlan | undefined {
  const count = checkInteger('insertions', insertions, 0, 1000)
  if (count === 0 && magnify !== undefined)
    throw new NoduleError('INVALID_PARAMETER', 'nothing to magnify', {
      place: '--magnify',
      expected: '--insertions with the number of masses',
    })
  if (count === 0 && variants !== undefined)
    throw noEffect('variants', '--insertions with the number of nodules', 'none')
  if (count === 0) return undefined
  if (stacks === undefined)
    throw new NoduleError('INVALID_PARAMETER', 'nothing to put in', {
      place: '--insertions',
      expected: '--stacks with the nodules',
    })
  return {
    count,
    variants: checkInteger('variants', variants ?? 1, 1, 1000),
    seed,
    magnifyMm: sizes(magnify),
  }
}

/** Two numbers of mm. */
function sizes(magnify: string | undefined): [number, number] | undefined {
  if (magnify === undefined) return undefined
  const [low, high, ...more] = magnify
    .split(',')
    .map((word) => (word.trim() === '' ? Number.NaN : Number(word)))
  const fits = low !== undefined && high !== undefined && more.length === 0
  if (!fits || !(low >= 1 && high >= low && high <= 100))
    throw new NoduleError('INVALID_PARAMETER', 'no sizes of masses', {
      place: '--magnify',
      expected: 'LOW,HIGH in mm, from 1 to 100, such as 20,50',
      actual: magnify,
    })
  return [low, high]
}

function partOf(
  file: string | undefined,
  part: string | undefined,
): ((patientId: string, seriesInstanceUid: string) => boolean) | undefined {
  if (file === undefined) return undefined
  const rule = splitRule('', undefined, file)
  if (rule.kind !== 'given') return undefined
  const { parts } = rule
  const known = new Set(parts.values())
  if (part !== undefined && !known.has(part))
    throw new NoduleError('FORMAT', 'no such part', {
      path: file,
      expected: `one of ${[...known].sort().join(', ')}`,
      actual: part,
    })
  return (patientId, series) => (parts.get(series) ?? parts.get(patientId)) === part
}

function summary(result: MineResult, { model, output, lists }: Flags): string {
  const found =
    model === undefined ? '' : ` (${result.found} marked), ${count(result.falseMarks, 'false mark')}`
  const hard = lists.length === 0 ? '' : `; ${result.hardEntries} entries of lists have false marks`
  return (
    `${count(result.volumes, 'volume')}, ${count(result.failed, 'failure')}: ${count(result.nodules, 'nodule')}${found}, ` +
    `${count(result.background, 'point')} of background -> ${output}${hard}\n`
  )
}
