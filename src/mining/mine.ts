import { checkInteger, checkNumber, checkObject, checkText, checkTexts, noEffect } from '../check.js'
import { DEFAULT_BOX_RULE, readList } from '../dataset/index.js'
import { checkListName } from '../dataset/list.js'
import type { BoxRule } from '../dataset/index.js'
import { checkBoxRule } from '../dataset/prepare/boxes.js'
import type { InsertionPlan } from '../dataset/prepare/inserted_copy.js'
import type { StackEntry } from '../dataset/stacks/read_index.js'
import type { PatchHypes } from '../config/patch_hypes.js'
import { NoduleError, stackOf, unexpectedFailure } from '../errors.js'
import { checkCanWrite } from '../files.js'
import { sha256 } from '../hash.js'
import type { Session } from '../inference/index.js'
import { checkSession } from '../inference/session.js'
import { CUBES_FORMAT, cubeSpec, openCubes, storedSpec, writeCubes } from '../patches/index.js'
import { writeHardMarks } from './hard_marks.js'
import { mineVolume } from './mine_volume.js'
import type { MineRule } from './mine_volume.js'
import { findSources } from './sources.js'
import type { FindSourcesOptions } from './sources.js'
import { isStopped, keepFailures } from '../work.js'
import type { WorkOptions } from '../work.js'

export const MINE_DEFAULTS: MineRule = {
  minScore: 0.02,
  maxMarks: 300,
  cubesPerNodule: 4,
  backgroundOfScan: 150,
  backgroundOfStack: 4,
  seed: 1,
}

export interface MineOptions extends Omit<FindSourcesOptions, 'rule'>, WorkOptions {
  /** The first stage; without it only nodules and background become cubes. */
  session?: Session | undefined
  /** What the second stage will see. */
  hypes: PatchHypes
  /** Folder of the cubes. */
  output: string
  rule?: Partial<MineRule> | undefined
  boxes?: Partial<BoxRule> | undefined
  /** Lists of frames that get the false marks of the first stage. */
  lists?: readonly string[] | undefined
  /** Add to the cubes that are there. */
  resume?: boolean | undefined
}

export interface MineResult {
  /** Volumes that have cubes now, and those that could not be read. */
  volumes: number
  failed: number
  /** Why, one line each. */
  problems: string[]
  nodules: number
  /** Nodules that the first stage marked. */
  found: number
  falseMarks: number
  background: number
  /** Entries of the lists that have false marks now. */
  hardEntries: number
  interrupted: boolean
}

/**
 * Runs the first stage over volumes whose nodules are known and keeps cubes of nodules, marks and background, to train
 * a second stage on; writes the false marks into lists of frames, for the first stage to be trained on again. A volume
 * that cannot be used is told and left out. Throws NoduleError INVALID_PARAMETER, FILE, FORMAT, UNSUPPORTED (a list that is not plain JSON).
 */
export async function mine(o: MineOptions): Promise<MineResult> {
  checkTexts('scans', checkObject('options', o).scans)
  checkTexts('xml', o.xml)
  checkText('output', o.output)
  checkObject('hypes', o.hypes, 'object that readPatchHypes gives')
  if (o.session !== undefined) checkSession(o.session)
  refuseWithoutMarks(o)
  const rule = { ...MINE_DEFAULTS, ...o.rule }
  checkNumber('minScore', rule.minScore, 0, 1)
  checkInteger('maxMarks', rule.maxMarks, 0, 1e6)
  checkInteger('cubesPerNodule', rule.cubesPerNodule, 1, 1000)
  checkInteger('backgroundOfScan', rule.backgroundOfScan, 0, 1e6)
  checkInteger('backgroundOfStack', rule.backgroundOfStack, 0, 1e6)
  checkInteger('seed', rule.seed, 0, 0xffffffff)
  const boxes = { ...DEFAULT_BOX_RULE, ...o.boxes }
  checkBoxRule(boxes)
  // Read first: a list that is damaged, or cannot be written, is better known before the work.
  const lists = o.lists ?? []
  for (const path of lists) {
    checkListName(path)
    readList(path)
    await checkCanWrite(path)
  }
  const fine = cubeSpec(o.hypes).fine
  const spec = storedSpec(cubeSpec(o.hypes))
  const { sources, stacks } = await findSources({ ...o, rule: boxes })
  const { problems, fail } = keepFailures(o)
  const result: MineResult = {
    ...{ volumes: 0, failed: 0, problems, nodules: 0, found: 0, falseMarks: 0, background: 0 },
    ...{ hardEntries: 0, interrupted: isStopped(o.signal) },
  }
  // Half of the sources are not all: with them the cubes would look finished.
  if (result.interrupted) return result
  const { minReaders, minAxialDiameterMm } = boxes
  const writer = await writeCubes(
    o.output,
    {
      format: CUBES_FORMAT,
      spec,
      ...(o.session === undefined
        ? {}
        : { model: o.session.sha256, checkpoint: o.session.metadata.checkpointSha256 }),
      parameters: {
        ...{ ...rule, minReaders, minAxialDiameterMm },
        ...(o.insertion === undefined ? {} : planParameters(o.insertion, stacks)),
      },
    },
    { resume: o.resume ?? false },
  )
  for (const [n, source] of sources.entries()) {
    if (isStopped(o.signal)) {
      result.interrupted = true
      return result
    }
    o.onProgress?.(n, sources.length, source.patientId)
    if (writer.done.has(source.key)) continue
    let mined: Awaited<ReturnType<typeof mineVolume>>
    try {
      const volume = await source.load()
      for (const warning of volume.warnings) o.onWarning?.(`${source.place}: ${warning}`)
      mined = await mineVolume(source, volume, o.session, spec, fine.size * fine.pixelMm, rule)
    } catch (error) {
      const { message } = error instanceof NoduleError ? error : unexpectedFailure(stackOf(error), error)
      result.failed++
      fail(`${source.place}: left out: ${message}`)
      continue
    }
    // Cubes that cannot be written will not be for the next volume either: not among the failures.
    await writer.add(mined.source, mined.bytes)
  }
  await writer.finish()
  o.onProgress?.(sources.length, sources.length, '')
  const store = await openCubes(o.output)
  store.close()
  result.volumes = store.sources.length
  for (const { cubes } of store.sources) {
    const known = new Set(cubes.flatMap(({ reason, finding }) => (reason === 'nodule' ? [finding] : [])))
    const hit = new Set(cubes.flatMap(({ score, finding }) => (score === undefined ? [] : [finding])))
    result.nodules += known.size
    result.found += [...known].filter((id) => hit.has(id)).length
    result.falseMarks += cubes.filter(({ reason, labels }) => reason === 'mark' && labels.nodule === 0).length
    result.background += cubes.filter(({ reason }) => reason === 'background').length
  }
  // As they are now: others may have written to them meanwhile.
  for (const path of lists) result.hardEntries += await writeHardMarks(readList(path), store.sources)
  return result
}

/** Options about the marks of a first stage where there is none: lists would lose the marks that they have. */
function refuseWithoutMarks({ session, lists = [], rule }: MineOptions): void {
  if (session !== undefined) return
  const given = {
    lists: lists.length > 0,
    minScore: rule?.minScore !== undefined,
    maxMarks: rule?.maxMarks !== undefined,
  }
  for (const [name, isGiven] of Object.entries(given))
    if (isGiven) throw noEffect(name, 'a first stage', 'none')
}

/** What the copies of a scan depend on; more variants are more copies. */
function planParameters(
  { count, seed, magnifyMm }: InsertionPlan,
  donors: readonly StackEntry[],
): Record<string, unknown> {
  // Without the lines of the index that they stand on.
  const listed = donors.map((entry) => ({ ...entry, line: undefined }))
  return {
    ...(magnifyMm === undefined ? {} : { magnifyMm }),
    insertion: { count, seed, donors: sha256(JSON.stringify(listed)) },
  }
}
