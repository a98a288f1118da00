import { basename } from 'node:path'
import type { CommandModule } from 'yargs'
import { NoduleError, remedyText } from '../errors.js'
import {
  DETECT_DEFAULTS,
  REGIONS,
  SESSION_DEVICES,
  STITCH_RULES,
  defaultConfidences,
  defaultOverlap,
  detectFolders,
  detectList,
  openStages,
  shippedModel,
} from '../inference/index.js'
import type {
  DetectNote,
  Region,
  ScanSummary,
  Session,
  SessionDevice,
  StitchParameters,
  StitchRule,
} from '../inference/index.js'
import { failedItems, longWork } from '../terminal/long_work.js'
import type { LongWork } from '../terminal/long_work.js'
import { flagName, printFailure, printLine, printNote, printResult } from '../terminal/output.js'
import { defaultJobs } from '../kernels/addon.js'
import { count } from '../words.js'
import { checkNoInput } from '../files.js'

interface Flags {
  folders: string[]
  list: string | undefined
  model: string | undefined
  second: string | undefined
  output: string
  'min-score': number | undefined
  'min-confidence': number | undefined
  stitch: StitchRule
  overlap: number | undefined
  device: SessionDevice
  threads: number | undefined
  jobs: number | undefined
  overlay: boolean
  markups: boolean
  resume: boolean
  region: Region | undefined
  'all-slices': boolean
}

export const command: CommandModule<object, Flags> = {
  command: 'detect [folders..]',
  describe: 'Find nodules in scans',
  builder: (yargs) =>
    yargs
      .positional('folders', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: 'Folders or files of DICOM, NIfTI, MetaImage: every CT series below them',
      })
      .option('list', { type: 'string', describe: 'Detect in the images of a TensorBox JSON list instead' })
      .option('model', {
        type: 'string',
        alias: 'm',
        describe:
          'Model of nodule export [default: the one of the package: on the CPU models/lung_int8.onnx, on CUDA models/lung.onnx]',
      })
      .option('second', {
        type: 'string',
        describe:
          'Second stage, which judges the nodules anew, or "none" [default: the file beside the model that is called like it with _second before .onnx (for NAME_int8.onnx also NAME_second.onnx), if there is one]',
      })
      .option('output', {
        type: 'string',
        alias: 'o',
        demandOption: true,
        describe: 'Folder of the results (a JSON per series, predictions.csv); with --list the JSON file',
      })
      .option('min-score', {
        type: 'number',
        describe: 'Leave out boxes of slices below this confidence [0.2 with a second stage, else 0.1]',
      })
      .option('min-confidence', {
        type: 'number',
        describe:
          'Leave out nodules below this confidence; 0.02 for a whole free-response curve [0.6 with a second stage, whose confidences are calibrated, else 0]',
      })
      .option('stitch', {
        choices: STITCH_RULES,
        default: DETECT_DEFAULTS.stitch,
        describe: 'How overlapping boxes become one; tensorbox: in its own way, to compare with its figures',
      })
      .option('overlap', {
        type: 'number',
        alias: 'tau',
        describe:
          'Boxes that share this part of the smaller one are one object; 0: any overlap [0.3]; with --stitch ' +
          "tensorbox TensorBox's tau, an IoU [0.25]",
      })
      .option('device', {
        choices: SESSION_DEVICES,
        default: 'auto' as const,
        describe: 'Where the model runs',
      })
      .option('threads', {
        type: 'number',
        describe: 'CPU threads (default: NODULE_THREADS, else the cores)',
      })
      .option('jobs', {
        type: 'number',
        alias: 'j',
        describe:
          'Scans at a time, each in a process of its own (default: the threads, where memory allows; on a GPU 1)',
      })
      .option('overlay', {
        type: 'boolean',
        default: false,
        describe:
          'Draw every slice with boxes as WebP: OUTPUT/SERIES/k0042.webp; with --list OUTPUT-overlays/',
      })
      .option('markups', {
        type: 'boolean',
        default: false,
        describe: "Also write each scan's nodules as points for 3D Slicer: OUTPUT/SERIES.mrk.json",
      })
      .option('resume', {
        type: 'boolean',
        default: false,
        describe: 'Keep results of the same scan, model and options that are there already',
      })
      .option('region', {
        choices: REGIONS,
        describe:
          'What of a volume is examined; all: as it is, without looking for lungs, which may be a crop or one image [lungs]',
      })
      .option('all-slices', { type: 'boolean', default: false, describe: 'The same as --region all' })
      .check(
        ({ folders, list }) =>
          folders.length > 0 !== (list !== undefined) || 'Name folders, or a list by --list.',
      )
      .check(
        ({ region, 'all-slices': all }) =>
          !all || region !== 'lungs' || '--region lungs and --all-slices exclude each other.',
      )
      .example(
        '$0 detect LIDC-IDRI-0001 -o found --overlay',
        'nodules of one patient by the model of the package, with pictures',
      )
      .example(
        '$0 detect archive -m model.onnx -o found -j 4 --resume',
        'go on with an archive, 4 scans at once',
      )
      .example('$0 detect crop.nii.gz --region all -o found', 'a crop')
      .example('$0 detect --list test.json -m model.onnx -o predictions.json', 'boxes for nodule evaluate'),
  handler: async (flags) => {
    const { device, threads } = flags
    if (flags.list !== undefined) refuseScanOptions(flags, flags.list)
    const model = flags.model ?? shippedModel(device)
    await checkNoInput(flags.output, [model, flags.list])
    const second = flags.list === undefined ? flags.second : 'none'
    const session = await openStages(model, second, {
      device,
      ...(threads === undefined ? {} : { threads }),
    })
    try {
      await longWork('detect', async (tools) => {
        const stopped =
          flags.list === undefined
            ? await inFolders(flags, session, tools)
            : await inList(flags, flags.list, session, tools)
        if (!stopped) return
        const hint = flags.list === undefined ? '; --resume goes on where this run stopped' : ''
        throw new NoduleError('INTERRUPTED', `interrupted${hint}`)
      })
    } finally {
      await session.release()
    }
  },
}

/** In images of a list there are no cubes, nodules and volumes. */
function refuseScanOptions(flags: Flags, list: string): void {
  const given = (
    ['second', 'min-confidence', 'region', 'all-slices', 'markups', 'resume', 'jobs'] as const
  ).find((name) => flags[name] !== undefined && flags[name] !== false && flags[name] !== 'none')
  if (given !== undefined)
    throw new NoduleError('INVALID_PARAMETER', `--${given} is for scans; this is a list of images`, {
      path: list,
    })
}

function stitching(flags: Flags, session: Session): StitchParameters {
  const { stitch, overlap } = flags
  const minScore = flags['min-score'] ?? defaultConfidences(session).minScore
  return { stitch, minScore, overlap: overlap ?? defaultOverlap(stitch) }
}

async function inFolders(flags: Flags, session: Session, tools: LongWork): Promise<boolean> {
  const result = await detectFolders(flags.folders, session, {
    output: flags.output,
    parameters: {
      ...DETECT_DEFAULTS,
      ...stitching(flags, session),
      link: {
        ...DETECT_DEFAULTS.link,
        minConfidence: flags['min-confidence'] ?? defaultConfidences(session).minConfidence,
      },
      region: flags['all-slices'] ? 'all' : (flags.region ?? DETECT_DEFAULTS.region),
    },
    overlay: flags.overlay,
    markups: flags.markups,
    resume: flags.resume,
    jobs: flags.jobs ?? (session.device === 'cuda' ? 1 : defaultJobs()),
    signal: tools.signal,
    onProgress: (done, total, note) => tools.onProgress(Math.floor((100 * done) / total), 100, note),
    onScan: (scan) => printLine(scanLine(scan)),
    onNote: printDetectNote,
  })
  const failures = result.notes.filter(({ failed }) => failed).length
  const nodules = result.scans.reduce((sum, scan) => sum + scan.nodules, 0)
  const counts = [count(result.scans.length, 'scan'), count(nodules, 'nodule'), count(failures, 'failure')]
  const models = modelsOf(session)
  const by = [models.model, models.second].filter((name) => name !== undefined).join(', then ')
  printResult(
    { output: flags.output, ...models, ...result },
    `${counts.join(', ')}; ${result.scans.length > 0 ? 'results in' : 'nothing written to'} ${flags.output} (${by}; ${models.precision}, ${models.device})\n`,
  )
  if (failures > 0) failedItems()
  return result.interrupted
}

/** What found the results. */
function modelsOf({ path, metadata, device, second }: Session): {
  model: string
  precision: string
  device: string
  second?: string
} {
  const first = { model: basename(path), precision: metadata.precision, device }
  return second === undefined ? first : { ...first, second: basename(second.path) }
}

function printDetectNote({ failed, place, message, remedy }: DetectNote): void {
  const help = remedy === undefined ? '' : `; ${remedyText(remedy, flagName)}`
  if (failed) printFailure(`failed: ${place}: ${message}${help}`)
  else printNote(`warning: ${place}: ${message}${help}`)
}

function scanLine(scan: ScanSummary): string {
  const time = scan.resumed ? 'kept' : `${(scan.ms / 1000).toFixed(1)} s`
  return (
    `${scan.patientId || '(no patient)'}: ${count(scan.slices, 'slice')}, ${count(scan.boxes, 'box')}, ` +
    `${count(scan.nodules, 'nodule')}, ${time} -> ${scan.path}`
  )
}

async function inList(flags: Flags, list: string, session: Session, tools: LongWork): Promise<boolean> {
  const overlays = `${flags.output.replace(/\.json$/, '')}-overlays`
  const result = await detectList(list, session, flags.output, {
    parameters: stitching(flags, session),
    ...(flags.overlay ? { overlays } : {}),
    signal: tools.signal,
    onProgress: tools.onProgress,
    onNote: printDetectNote,
  })
  for (const warning of result.warnings) tools.onWarning(warning)
  if (!result.interrupted) {
    const { entries, boxes, failed, warnings } = result
    const counts = [count(entries.length, 'image'), count(boxes, 'box'), count(failed, 'failure')]
    printResult(
      {
        output: flags.output,
        ...(flags.overlay ? { overlays } : {}),
        images: entries.length,
        boxes,
        failed,
        warnings,
      },
      `${counts.join(', ')} -> ${flags.output}\n`,
    )
  }
  if (result.failed > 0) failedItems()
  return result.interrupted
}
