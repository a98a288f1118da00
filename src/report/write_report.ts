import { basename, resolve } from 'node:path'
import { checkInteger, checkObject, checkText, checkTexts, noEffect } from '../check.js'
import { readList } from '../dataset/list.js'
import type { FrameList } from '../dataset/list.js'
import { findSeries } from '../dicom/index.js'
import { NoduleError } from '../errors.js'
import { evaluateListFiles, readDetectionFolder, readFindings, readReferences } from '../evaluation/index.js'
import type { SliceEvaluation } from '../evaluation/index.js'
import { hideFolders, writeFileAtomic } from '../files.js'
import { parseJson } from '../json.js'
import { withoutTwins } from '../scans/index.js'
import { VERSION } from '../version.js'
import { count } from '../words.js'
import type { Chart } from './chart.js'
import { readOtherRuns } from './comparison.js'
import type { Comparison, OtherRuns } from './comparison.js'
import { frocChart, precisionRecallChart } from './figures.js'
import { buildPage } from './page.js'
import type { PageInput, PageView } from './page.js'
import type { Picture } from './pictures.js'
import { writePlots } from './plots.js'
import { byName, provenance } from './provenance.js'
import { readSliceEvaluation } from './read_evaluation.js'
import { withoutFolders } from '../config/without_folders.js'
import { findRunFiles, holdsDetections } from './run_files.js'
import type { RunFiles } from './run_files.js'
import { scanPart } from './scan_part.js'
import type { ScanPart } from './scan_part.js'
import { slicePart } from './slice_part.js'
import { comparedTrainingCharts, learningRateChart, lossChart, validationChart } from './training_charts.js'
import type { TrainingEntry } from './training_log.js'
import { readTrainingLog } from './training_log.js'
import { readRegularSync } from '../read_files.js'
import { append } from '../lists.js'

export interface ReportOptions extends RunFiles {
  /** Folder of a run; what is not named is looked for in it. */
  run?: string | undefined
  /** The HTML file. */
  output: string
  title?: string | undefined
  /** Folders of the scans with their LIDC XML: pictures and true nodules for the 3-D part. */
  scans?: string[] | undefined
  /** With `scans`, where no `reference` is given: further XML files, or folders of them. */
  xml?: string[] | undefined
  /** True nodules in LUNA16's format instead, and its excluded findings. */
  reference?: string | undefined
  excluded?: string | undefined
  /** File with the series that count; without it, those of `scans`, or of a `reference` those that were examined. */
  series?: string | undefined
  iou?: number | undefined
  minScore?: number | undefined
  mismatch?: 'error' | 'miss' | 'skip' | undefined
  ignoreExcluded?: boolean | undefined
  tau?: number | undefined
  /** Other runs (folders, lists, folders of detections, CSV of marks, training logs) to put beside this one. */
  compare?: string[] | undefined
  /** Slices with a picture in the page, and as many again for nodules. */
  maxPictures?: number | undefined
  /** Also write its curves as SVG and PNG into this folder. */
  plots?: string | undefined
  bootstraps?: number | undefined
  seed?: number | undefined
}

export interface WrittenReport {
  path: string
  bytes: number
  pictures: number
  warnings: string[]
  /** The page's figures, plain data. */
  figures: object
}

/**
 * Writes one HTML file about a run that opens without a network: figures, curves, slices with true and found boxes,
 * nodules in mm, training and provenance. Parts whose files are absent are left out and named in the warnings.
 * Throws NoduleError (FILE, FORMAT) for files that cannot be read, and where there is nothing to report;
 * (INVALID_PARAMETER) for options that nothing would use.
 */
export async function writeReport(options: ReportOptions): Promise<WrittenReport> {
  checkText('output', checkObject('options', options).output)
  for (const name of ['scans', 'xml', 'compare'] as const)
    if (options[name] !== undefined) checkTexts(name, options[name])
  const files = options.run === undefined ? { ...options } : findRunFiles(options.run, options)
  // What detect wrote is a folder of detections itself.
  if (options.run !== undefined && files.detections === undefined && (await holdsDetections(options.run)))
    files.detections = options.run
  const maxPictures = checkInteger('maxPictures', options.maxPictures ?? 300, 0, 1e6)
  if (options.bootstraps !== undefined) checkInteger('bootstraps', options.bootstraps, 0, 1e6)
  if (options.seed !== undefined) checkInteger('seed', options.seed, 0, 0xffffffff)
  refuseUnused(files, options)
  // What is not read is not named among what the page is made of.
  if (files.truth === undefined) delete files.predictions
  else if (files.predictions !== undefined) delete files.evaluation
  const warnings: string[] = []
  const pictures: Picture[] = []
  const views: PageView[] = []

  const truth = files.truth === undefined ? undefined : readList(files.truth)
  const own = options.run ?? files.predictions ?? files.detections ?? files.log ?? options.output
  const training = files.log === undefined ? undefined : readTrainingLog(files.log)
  const other =
    options.compare === undefined
      ? undefined
      : await readOtherRuns(own, options.compare, (training?.length ?? 0) > 0, warnings)
  if (options.excluded !== undefined && options.reference === undefined)
    throw new NoduleError('INVALID_PARAMETER', 'excluded findings belong to a table of true nodules', {
      parameter: 'excluded',
      expected: 'a reference',
      actual: 'none',
    })
  if (options.series !== undefined && options.reference === undefined && options.scans === undefined)
    throw new NoduleError('INVALID_PARAMETER', 'a list of series says which scans are judged', {
      parameter: 'series',
      expected: 'a reference, or scans with their XML',
      actual: 'neither',
    })
  if (options.xml !== undefined && (options.scans === undefined || options.reference !== undefined))
    throw new NoduleError('INVALID_PARAMETER', "XML files say what scans' readers marked", {
      parameter: 'xml',
      expected: 'scans, and no reference',
      actual: options.scans === undefined ? 'no scans' : 'a reference',
    })
  const slices = await readSlices(files, truth, pictures, warnings, { ...options, maxPictures })
  const detections =
    files.detections === undefined ? [] : await readDetectionFolder(files.detections, warnings)
  const scans =
    detections.length === 0
      ? undefined
      : await scanPart(
          {
            detections,
            path: files.detections!,
            counted: options.series,
            folders: options.scans,
            frames: truth,
            other,
            maxPictures,
            bootstraps: options.bootstraps,
            seed: options.seed,
            ...(await readTrueNodules(options, warnings)),
          },
          pictures,
          views,
        )
  if (scans !== undefined) append(warnings, scans.warnings)
  if (scans?.evaluation !== undefined) append(warnings, scans.evaluation.warnings)
  const hypes = files.hypes === undefined ? undefined : withoutFolders(readJson(files.hypes))
  if (slices === undefined && scans === undefined && (training?.length ?? 0) === 0) {
    throw new NoduleError('FORMAT', 'nothing to report', {
      path: options.run ?? files.detections ?? '',
      expected:
        'predictions.json with test.json, evaluation.json, detections/ or log.jsonl, or options that name them',
      actual:
        files.detections === undefined
          ? 'none of them'
          : `no detections in ${files.detections}, and none of the others`,
      remedies: [{ do: 'name the folder that detect wrote', parameter: 'detections' }],
    })
  }
  const comparison =
    other === undefined
      ? undefined
      : await compareRuns(files, other, { truth, scans, training }, options, warnings)
  const { reference, excluded, series } = options
  const given = [...Object.values(files), options.run, options.output, reference, excluded, series]
  const { compare = [], scans: folders = [], xml = [] } = options
  const shownPaths = [...given, ...compare, ...folders, ...xml].filter((path) => typeof path === 'string')
  const input: PageInput = {
    title: options.title ?? `nodule report: ${basename(resolve(options.run ?? options.output))}`,
    subtitle: `written ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC by nodule ${VERSION}`,
    provenance: provenance(files, detections, hypes),
    hypes,
    training,
    slices,
    scans,
    comparison,
    pictures,
    views,
    // The page is passed on without the names of this machine's folders.
    warnings: warnings.map((line) => hideFolders(line, shownPaths)),
  }
  const page = buildPage(input)
  await writeFileAtomic(options.output, page)
  if (options.plots !== undefined) await writePlots(options.plots, pageCharts(input))
  return {
    path: options.output,
    bytes: Buffer.byteLength(page),
    pictures: pictures.length,
    warnings,
    figures: figuresOf(input),
  }
}

/** Options that no part of the page would use. Throws NoduleError (INVALID_PARAMETER). */
function refuseUnused({ truth, predictions, detections }: RunFiles, options: ReportOptions): void {
  const refuse = (names: readonly (keyof ReportOptions)[], expected: string, actual: string): void => {
    const name = names.find((one) => options[one] !== undefined && options[one] !== false)
    if (name !== undefined) throw noEffect(name, expected, actual)
  }
  if (truth === undefined || predictions === undefined)
    refuse(
      ['iou', 'minScore', 'tau', 'mismatch', 'ignoreExcluded'],
      'a list of true boxes and one of predictions',
      truth === predictions ? 'neither' : `${truth === undefined ? 'predictions' : 'true boxes'} alone`,
    )
  else refuse(['evaluation'], 'no lists of true boxes and predictions', 'both')
  if (truth === undefined) refuse(['predictions'], 'a list of true boxes', 'none')
  if (detections === undefined) refuse(['scans', 'reference'], 'detections in whole scans', 'none')
}

/** What the page's own run was judged by. */
interface OwnParts {
  truth: FrameList | undefined
  scans: ScanPart | undefined
  training: TrainingEntry[] | undefined
}

/** This run beside the others, at the levels that it was evaluated at itself. */
async function compareRuns(
  { truth: truthPath, predictions }: RunFiles,
  { ownName, lists, marks, trainings }: OtherRuns,
  { truth, scans, training = [] }: OwnParts,
  options: ReportOptions,
  warnings: string[],
): Promise<Comparison | undefined> {
  const comparison: Comparison = {}
  const hasSlices = truth !== undefined && predictions !== undefined
  // Boxes in whole scans are judged on the slices where there are no scans of this run to put them beside.
  const saysSlices = hasSlices && truth.entries.every(({ nodule }) => nodule?.mapping !== undefined)
  const folders =
    saysSlices && scans?.comparison === undefined
      ? marks.filter((run) => 'detections' in run && lists.every((list) => list.name !== run.name))
      : []
  const onSlices = [...lists, ...folders]
  if (hasSlices && onSlices.length > 0) {
    const paths = [predictions, ...onSlices.map((run) => run.path)]
    comparison.slices = await evaluateListFiles(truthPath!, paths, {
      ...options,
      names: [ownName, ...onSlices.map((run) => run.name)],
    })
  } else if (lists.length > 0)
    warnings.push(`${count(lists.length, 'list')} cannot be compared: no list of this run`)
  const left = marks.length - folders.length
  if (scans?.comparison !== undefined) comparison.scans = scans.comparison
  else if (left > 0)
    warnings.push(
      `${count(left, 'run')} of whole scans cannot be compared: this run has no detections in whole scans that are judged by true nodules` +
        (hasSlices && !saysSlices
          ? `, and ${truthPath} does not say which slices its images are, as a list of nodule prepare does`
          : ''),
    )
  if (training.length > 0 && trainings.length > 0)
    comparison.training = [{ name: ownName, log: training }, ...trainings]
  else if (trainings.length > 0)
    warnings.push(`${count(trainings.length, 'training')} cannot be compared: this run has no training log`)
  for (const runs of [comparison.slices?.runs ?? [], comparison.scans?.runs ?? []])
    for (const run of runs.slice(1))
      append(
        warnings,
        run.warnings.map((line) => `${run.name}: ${line}`),
      )
  return Object.keys(comparison).length === 0 ? undefined : comparison
}

/** What the page says, for programs. */
function figuresOf(input: PageInput): object {
  const { title, provenance: rows, hypes, training, slices, scans, comparison, warnings } = input
  return {
    format: 'nodule-report/1',
    title,
    provenance: byName(rows),
    hypes,
    training,
    slices: slices?.evaluation,
    scans:
      scans === undefined
        ? undefined
        : { evaluation: scans.evaluation, readers: scans.readers, nodules: scans.nodules },
    comparison,
    warnings,
  }
}

/** The page's curves, by file name. */
function pageCharts({ slices, scans, comparison, training = [] }: PageInput): Record<string, Chart> {
  const validation = validationChart(training)
  return {
    ...(slices === undefined
      ? {}
      : {
          'precision-recall': precisionRecallChart([slices.evaluation]),
          'recall-1-precision': precisionRecallChart([slices.evaluation], true),
        }),
    ...(scans?.evaluation === undefined ? {} : { froc: frocChart([scans.evaluation], scans.readers) }),
    ...(comparison?.slices === undefined
      ? {}
      : {
          'comparison-precision-recall': precisionRecallChart(comparison.slices.runs),
          'comparison-recall-1-precision': precisionRecallChart(comparison.slices.runs, true),
        }),
    ...(comparison?.scans === undefined ? {} : { 'comparison-froc': frocChart(comparison.scans.runs) }),
    ...prefixed('comparison', comparison?.training && comparedTrainingCharts(comparison.training)),
    ...(training.length === 0
      ? {}
      : { loss: lossChart(training), 'learning-rate': learningRateChart(training) }),
    ...(validation === undefined ? {} : { validation }),
  }
}

function prefixed(prefix: string, charts: Readonly<Record<string, Chart>> = {}): Record<string, Chart> {
  return Object.fromEntries(Object.entries(charts).map(([name, chart]) => [`${prefix}-${name}`, chart]))
}

async function readSlices(
  files: RunFiles,
  truth: FrameList | undefined,
  pictures: Picture[],
  warnings: string[],
  options: ReportOptions & { maxPictures: number },
): Promise<PageInput['slices']> {
  if (truth !== undefined && files.predictions !== undefined) {
    const part = await slicePart(truth, readList(files.predictions), pictures, {
      iou: options.iou,
      minScore: options.minScore,
      mismatch: options.mismatch,
      ignoreExcluded: options.ignoreExcluded,
      tau: options.tau,
      maxPictures: options.maxPictures,
      bootstraps: options.bootstraps,
      seed: options.seed,
    })
    append(warnings, part.warnings)
    return part
  }
  if (files.evaluation === undefined) return undefined
  let evaluation: SliceEvaluation
  try {
    evaluation = readSliceEvaluation(files.evaluation)
  } catch (error) {
    // Nobody named the file: it only lies there, beside other things to report, and may be of whole scans.
    const isFound = options.evaluation === undefined
    const isAlone = files.log === undefined && files.detections === undefined
    if (!(error instanceof NoduleError) || !isFound || isAlone) throw error
    warnings.push(`left out: ${error.message}`)
    delete files.evaluation
    return undefined
  }
  warnings.push('the page has no slices: it needs the list of true boxes and the predictions')
  return { evaluation, images: [] }
}

async function readTrueNodules(
  options: ReportOptions,
  warnings: string[],
): Promise<Pick<Parameters<typeof scanPart>[0], 'references' | 'tables' | 'series'>> {
  const { scans, reference, excluded } = options
  if (reference !== undefined) {
    return {
      tables: readFindings(reference, excluded),
      ...(scans === undefined
        ? {}
        : { series: withoutTwins((await findSeries(scans)).series, (line) => warnings.push(line)) }),
    }
  }
  if (scans === undefined) return {}
  const read = await readReferences(scans, options.xml)
  append(warnings, read.warnings)
  const { series } = read
  return read.scans.length === 0 ? { series } : { references: read.scans, series }
}

function readJson(path: string): unknown {
  return parseJson(readRegularSync(path).toString('utf8'), path)
}
