import { join } from 'node:path'
import { consensusNodules, placeOnSeries, readLidcXml } from '../../annotations/index.js'
import type { ConsensusNodule, LidcReading, SeriesFrame } from '../../annotations/index.js'
import { NoduleError, reasonBeside } from '../../errors.js'
import { clipBox } from '../../geometry/box.js'
import type { EdgeBox } from '../../geometry/box.js'
import { canvasFrame } from '../../geometry/frame.js'
import type { FrameSource, ListEntry } from '../list.js'
import { ownNodule } from '../stacks/own_nodule.js'
import type { StackEntry } from '../stacks/read_index.js'
import { STACK_SIDE, readStack, stackFiles } from '../stacks/read_stack.js'
import type { NoduleStack } from '../stacks/read_stack.js'
import { frameBoxes } from './boxes.js'
import type { BoxRule, SliceFinding } from './boxes.js'
import { findingsOnSlices, isAccepted } from './marks.js'
import type { FrameParameters } from './parameters.js'
import { fileName, writeRecord } from './record.js'
import type { ScanRecord } from './record.js'
import { measuresById } from './host.js'
import type { CommonTask } from './host.js'
import { writeFrames } from './write_frames.js'
import { append } from '../../lists.js'

/** The nodule stacks of one series to prepare. */
export interface StacksTask extends CommonTask {
  kind: 'stacks'
  folder: string
  stacks: StackEntry[]
  /** LIDC XML files of the series. */
  annotationFiles: string[]
}

type Measured = ScanRecord['nodules'][number]

/**
 * Makes the frames of the stacks of one series and its record: each slice of a stack is a frame of the whole stack at
 * `data.mm_per_pixel`. A stack whose files cannot be used is named in the record, the others are made.
 */
export async function prepareStacks(task: StacksTask): Promise<ScanRecord> {
  const { folder, stacks, parameters, output } = task
  const { patientId, seriesInstanceUid } = stacks[0]!
  const reading = await readReading(task.annotationFiles)
  const record: Omit<ScanRecord, 'format'> & { damaged: { path: string; reason: string }[] } = {
    key: task.key,
    patientId,
    studyInstanceUid: '',
    seriesInstanceUid,
    slices: 0,
    nodules: [],
    entries: [],
    frames: {},
    warnings: [...(reading?.warnings ?? [])],
    damaged: [],
  }
  for (const entry of stacks) {
    try {
      const stack = await readStack(folder, entry)
      const { findings, nodules } = stackFindings(stack, reading, parameters.boxes)
      const entries = stackEntries(stack, findings, nodules, parameters)
      Object.assign(record.frames, await writeFrames(stack.volume, entries, parameters, output))
      record.slices += entries.length
      append(
        record.nodules,
        nodules.map((nodule) => ({ ...nodule, id: `${entry.nodule} ${nodule.id}` })),
      )
      append(record.entries, entries)
    } catch (error) {
      // What cannot be written ends the work; what cannot be read is one stack less.
      const path = error instanceof NoduleError ? (error.path ?? '') : ''
      if (!(error instanceof NoduleError) || !path.startsWith(join(folder, 'stacks'))) throw error
      const reason = reasonBeside(path, error)
      record.damaged.push({ path: path === '' ? stackFiles(folder, entry).slices : path, reason })
    }
  }
  return writeRecord(output, record, task.old)
}

/** The CT reading of the first of the files; undefined where there is none. Throws NoduleError. */
export async function readReading(files: readonly string[]): Promise<LidcReading | undefined> {
  const [path] = files
  if (path === undefined) return undefined
  const reading = await readLidcXml(path)
  return reading.kind === 'ct' ? reading : undefined
}

/**
 * The list's entries of a stack's slices.
 * @param copy which copy of it with other nodules put in: only the slices that show one of these
 */
export function stackEntries(
  { entry, volume }: Pick<NoduleStack, 'entry' | 'volume'>,
  findings: readonly SliceFinding[],
  nodules: readonly Measured[],
  parameters: FrameParameters,
  copy?: { variant: number; inserted: ReadonlySet<string> },
): (ListEntry & { nodule: FrameSource })[] {
  const area = { x1: 0, y1: 0, x2: STACK_SIDE, y2: STACK_SIDE }
  const mapping = canvasFrame(area, entry.pixelSpacing / parameters.mmPerPixel)
  const { slices } = frameBoxes(findings, mapping, parameters.boxes)
  const measures = measuresById(nodules)
  const suffix = copy === undefined ? '' : `_insertion-${copy.variant}`
  const name = `${fileName(entry.patientId)}_${fileName(entry.nodule)}${suffix}`
  return volume.geometry.slicePositions.flatMap((positionMm, k) => {
    const slice = slices.get(k) ?? { rects: [], ids: [], excluded: [] }
    if (parameters.slices.kind === 'nodules' && slice.rects.length === 0) return []
    if (copy !== undefined && !slice.ids.some((id) => copy.inserted.has(id))) return []
    const nodule: FrameSource = {
      patientId: entry.patientId,
      seriesInstanceUid: entry.seriesInstanceUid,
      sopInstanceUid: volume.sopInstanceUids[k]!,
      stack: entry.nodule,
      ...(copy === undefined ? {} : { variant: copy.variant }),
      k,
      positionMm,
      mapping,
      encoding: parameters.encoding,
      ...(parameters.channels === 3 ? {} : { channels: parameters.channels }),
      origin: copy === undefined ? 'stack' : 'insertion',
      nodules: slice.ids,
      measures: slice.ids.map((id) => measures.get(id)!),
      excluded: slice.excluded,
    }
    const image = `frames/${name}_${String(k).padStart(4, '0')}.png`
    const rects: ListEntry['rects'] = slice.rects.map((box, n) =>
      copy === undefined || copy.inserted.has(slice.ids[n]!) ? { ...box } : { ...box, origin: 'stack' },
    )
    return [{ image_path: image, rects, nodule }]
  })
}

/**
 * What lies in a stack: its own nodule, of whose slices those count where the consensus holds something, and the other
 * marks of its series where the XML is known. k and boxes are the stack's.
 */
export function stackFindings(
  stack: NoduleStack,
  reading: LidcReading | undefined,
  rule: BoxRule,
): { findings: SliceFinding[]; nodules: Measured[] } {
  const own = ownNodule(stack)
  const { readers, axialDiameterMm } = own
  const accepted = isAccepted(own, rule)
  const id = stack.entry.nodule
  const findings: SliceFinding[] = own.boxes.map(({ k, box, hull, agreed }) => ({
    id,
    k,
    box,
    ...(accepted && agreed ? { hull } : {}),
    accepted: accepted && agreed,
  }))
  const nodules: Measured[] = [{ id, readers, axialDiameterMm, accepted }]
  if (reading === undefined) return { findings, nodules }

  const grid = seriesGrid(stack, reading)
  const placed = placeOnSeries(reading, grid.series)
  for (const nodule of consensusNodules(placed, grid.series.geometry)) {
    const texture = nodule.ratings === undefined ? {} : { texture: nodule.ratings.texture.mean }
    if (isTwin(nodule, stack, grid.slices)) {
      Object.assign(nodules[0]!, texture)
      continue
    }
    const others = inStack(findingsOnSlices([nodule], NO_POINTS, grid.series.geometry, rule), stack, grid)
    if (others.length === 0) continue
    const name = `xml-${nodule.id}`
    const { readers: by, axialDiameterMm: size } = nodule
    nodules.push({
      id: name,
      readers: by,
      axialDiameterMm: size,
      ...texture,
      accepted: isAccepted(nodule, rule),
    })
    append(
      findings,
      others.map((finding) => ({ ...finding, id: name })),
    )
  }
  append(findings, inStack(findingsOnSlices([], placed, grid.series.geometry, rule), stack, grid))
  return { findings, nodules }
}

const NO_POINTS = { smallNodules: [], nonNodules: [] }

/** The slices of a series, made up from a stack's place and spacing, since the series itself is not here. */
interface SeriesGrid {
  series: SeriesFrame
  /** Slice of the series for each slice of the stack. */
  slices: number[]
}

/** Room for contours in a slice: what lies outside the stack is sorted out later. */
const MAX_SIDE = 65536
/** Slices above and below the stack, more than any scan has: a mark beyond them is a slip, and not in the stack. */
const MAX_STEPS = 2000

function seriesGrid({ entry }: NoduleStack, reading: LidcReading): SeriesGrid {
  const { sliceSpacing: step, pixelSpacing, zOfAnchor } = entry
  const heights = reading.sessions.flatMap((session) => [
    ...session.nodules.flatMap((nodule) => nodule.contours.map((contour) => contour.z)),
    ...[...session.smallNodules, ...session.nonNodules].map((point) => point.z),
  ])
  const own = entry.slices.map((slice) => slice.steps)
  const [first, last] = [Math.min(0, own[0]!), Math.max(0, own.at(-1)!)]
  const [low, high] = heights
    .map((z) => Math.round((z - zOfAnchor) / step))
    .filter((n) => n >= first - MAX_STEPS && n <= last + MAX_STEPS)
    .reduce(([a, b], n) => [Math.min(a, n), Math.max(b, n)], [first, last])
  const positions = Array.from({ length: high - low + 1 }, (_, k) => k * step)
  const bottom = zOfAnchor + low * step
  return {
    series: {
      seriesInstanceUid: entry.seriesInstanceUid,
      // Outlines of one nodule lie a pixel apart also where slices are thin.
      thickness: Math.max(1, step),
      geometry: {
        origin: [0, 0, bottom],
        rowDirection: [1, 0, 0],
        columnDirection: [0, 1, 0],
        sliceDirection: [0, 0, 1],
        spacing: [step, pixelSpacing, pixelSpacing],
        slicePositions: positions,
      },
      slices: positions.map((position, k) => ({
        sopInstanceUid: `slice ${k}`,
        imagePosition: [0, 0, bottom + position],
        rows: MAX_SIDE,
        columns: MAX_SIDE,
      })),
    },
    slices: own.map((steps) => steps - low),
  }
}

/** Findings of the series that lie in the stack, as findings of the stack. */
function inStack(
  findings: readonly SliceFinding[],
  stack: NoduleStack,
  { slices }: SeriesGrid,
): SliceFinding[] {
  const { x0, y0 } = stack.entry
  return findings.flatMap((finding) => {
    const k = slices.indexOf(finding.k)
    if (k < 0) return []
    const box = shift(finding.box, -x0, -y0)
    const { x1, y1, x2, y2 } = clipBox(box, STACK_SIDE, STACK_SIDE)
    if (!(x2 > x1 && y2 > y1)) return []
    const { hull, ...other } = finding
    const moved = hull?.map(([x, y]) => [x - x0, y - y0] as const)
    return [{ ...other, k, box, ...(moved === undefined ? {} : { hull: moved }) }]
  })
}

function shift(box: EdgeBox, x: number, y: number): EdgeBox {
  return { x1: box.x1 + x, y1: box.y1 + y, x2: box.x2 + x, y2: box.y2 + y }
}

/** Part of the smaller of two masks that must be shared by one nodule. */
const TWIN = 0.3

/** Whether a nodule of the XML is the stack's own: their voxels overlap. */
function isTwin(
  { mask, centroidVoxel }: ConsensusNodule,
  { entry, readers }: NoduleStack,
  slices: readonly number[],
): boolean {
  const ownAt = (k: number, y: number, x: number): boolean =>
    k >= 0 &&
    [y, x].every((at) => at >= 0 && at < STACK_SIDE) &&
    readers[(k * STACK_SIDE + y) * STACK_SIDE + x]! > 0
  const [depth, height, width] = mask.shape
  let size = 0
  let shared = 0
  for (let z = 0; z < depth; z++) {
    const k = slices.indexOf(mask.k0 + z)
    if (k < 0) continue
    for (let n = 0; n < height * width; n++) {
      if (mask.voxels[z * height * width + n] !== 1) continue
      size++
      const y = mask.j0 + Math.floor(n / width) - entry.y0
      if (ownAt(k, y, mask.i0 + (n % width) - entry.x0)) shared++
    }
  }
  if (size === 0) {
    // Readers who agree on no voxel: their middle decides.
    const [k, y, x] = centroidVoxel.map(Math.round) as [number, number, number]
    return ownAt(slices.indexOf(k), y - entry.y0, x - entry.x0)
  }
  const own = readers.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0)
  return shared >= TWIN * Math.min(size, own)
}
