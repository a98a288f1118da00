// npx tsx benchmarks/quality/pictures.ts --json FILE [--more NAME=FILE ...] [--data FOLDER] -o FOLDER
// Draws what judge.ts found: the free-response curve, the nodules with the lowest confidence, the worst false marks.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ownNodule } from '../../src/dataset/stacks/own_nodule.js'
import { readStackIndex } from '../../src/dataset/stacks/read_index.js'
import { readStack } from '../../src/dataset/stacks/read_stack.js'
import { findSeries } from '../../src/dicom/index.js'
import type { EdgeBox } from '../../src/geometry/box.js'
import { patientToVoxel } from '../../src/geometry/patient.js'
import { chartPng, chartSvg } from '../../src/report/chart.js'
import type { ChartLine } from '../../src/report/chart.js'
import { loadVolume, windowToGray } from '../../src/volume/index.js'
import type { HuVolume } from '../../src/volume/index.js'
import { planePanel, tilePanels } from '../../src/pictures/montage.js'
import { SIZES, thresholdAt } from './figures.js'
import type { NoduleOutcome, Outcomes } from './outcomes.js'

const PANEL = 200
const COLUMNS = 6
const ROWS = 4
/** Side of the square around a false mark, mm. */
const VIEW_MM = 80

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    more: { type: 'string', multiple: true, default: [] },
    data: { type: 'string', default: process.env['NODULE_DATA'] },
    output: { type: 'string', short: 'o' },
  },
})
const { json, data, output } = values
if (json === undefined || data === undefined || output === undefined)
  throw new Error('usage: pictures.ts --json FILE --data FOLDER (or NODULE_DATA) -o FOLDER')
const read = (path: string): Outcomes => JSON.parse(readFileSync(path, 'utf8')) as Outcomes
const outcomes = read(json)
mkdirSync(output, { recursive: true })

const counts = ({ readers, diameterMm }: NoduleOutcome): boolean => readers >= 3 && diameterMm >= 3

function curve(
  name: string,
  { stacks, scans }: Outcomes,
  group: (nodule: NoduleOutcome) => boolean,
): ChartLine {
  const nodules = stacks.filter((nodule) => counts(nodule) && group(nodule))
  const scores = scans.flatMap((scan) => scan.falseMarks.map(({ score }) => score))
  const rates = Array.from({ length: 61 }, (_, n) => 2 ** (-3 + n / 10))
  return {
    name: `${name} (${nodules.length})`,
    points: rates.map((rate): [number, number] => {
      const threshold = thresholdAt(scores, scans.length, rate)
      return [rate, nodules.filter(({ score }) => score > threshold).length / nodules.length]
    }),
  }
}

async function drawCurves(file: string, title: string, lines: ChartLine[]): Promise<void> {
  const svg = chartSvg({
    title,
    subtitle: 'nodules of at least 3 readers in stacks; false marks on whole scans',
    x: { name: 'false marks a scan', min: 1 / 8, max: 8, logBase: 2 },
    y: { name: 'sensitivity', min: 0, max: 1 },
    lines,
  })
  writeFileSync(join(output!, file), await chartPng(svg))
}

/** A square of a slice with a box, at most the whole slice. */
async function panel(
  volume: HuVolume,
  k: number,
  x: number,
  y: number,
  side: number,
  box: EdgeBox,
): Promise<Buffer> {
  const [, rows, columns] = volume.shape
  const [, dy, dx] = volume.geometry.spacing
  const [x0, y0] = [Math.round(x - side / dx / 2), Math.round(y - side / dy / 2)]
  const [width, height] = [Math.round(side / dx), Math.round(side / dy)]
  const edge = (value: number, line: number): boolean => Math.abs(value + 0.5 - line) <= 0.5
  return planePanel(
    { width, height, dx, dy },
    (u, v) => {
      const [i, j] = [x0 + u, y0 + v]
      const within = i + 1 > box.x1 - 1 && i < box.x2 + 1 && j + 1 > box.y1 - 1 && j < box.y2 + 1
      const border =
        within && (edge(i, box.x1 - 1) || edge(i, box.x2 + 1) || edge(j, box.y1 - 1) || edge(j, box.y2 + 1))
      if (border) return [255, 210, 0]
      const inside = i >= 0 && i < columns && j >= 0 && j < rows
      const gray = inside ? windowToGray(volume.data[(k * rows + j) * columns + i]!, -1000, 400) : 0
      return [gray, gray, gray]
    },
    PANEL,
  )
}

interface Panel {
  image: Buffer
  label: string
}

async function sheet(file: string, title: string, panels: readonly Panel[]): Promise<void> {
  const rows = Array.from({ length: Math.ceil(panels.length / COLUMNS) }, (_, n) =>
    panels.slice(n * COLUMNS, (n + 1) * COLUMNS),
  )
  writeFileSync(join(output!, file), await tilePanels(rows, title, PANEL))
}

async function drawMisses(folder: string): Promise<void> {
  const lowest = outcomes.stacks
    .filter(counts)
    .sort((a, b) => a.score - b.score)
    .slice(0, COLUMNS * ROWS)
  const { stacks } = readStackIndex(folder)
  const panels: Panel[] = []
  for (const { patientId, nodule, score, diameterMm, readers } of lowest) {
    const entry = stacks.find((stack) => stack.patientId === patientId && stack.nodule === nodule)!
    const stack = await readStack(folder, entry)
    const boxes = ownNodule(stack).boxes.filter(({ agreed }) => agreed)
    const { k, box } = boxes[boxes.length >> 1]!
    const side = 128 * entry.pixelSpacing
    panels.push({
      image: await panel(stack.volume, k, 64, 64, side, box),
      label: `${patientId.slice(-4)} ${diameterMm.toFixed(1)} mm, ${readers} readers\nconfidence ${score.toFixed(2)}`,
    })
  }
  await sheet('misses.png', 'nodules of at least 3 readers with the lowest confidence', panels)
}

async function drawFalseMarks(folders: readonly string[]): Promise<void> {
  const worst = outcomes.scans
    .flatMap((scan) => scan.falseMarks.map((mark) => ({ ...mark, scan })))
    .sort((a, b) => b.score - a.score)
    .slice(0, COLUMNS * ROWS)
  const { series } = await findSeries([...folders])
  const drawn = new Map<unknown, Panel>()
  for (const scan of outcomes.scans) {
    const marks = worst.filter((mark) => mark.scan === scan)
    const own = series.find(({ seriesInstanceUid }) => seriesInstanceUid === scan.seriesUid)
    if (marks.length === 0 || own === undefined) continue
    const volume = await loadVolume(own)
    const [, dy, dx] = volume.geometry.spacing
    for (const mark of marks) {
      const [k, j, i] = patientToVoxel(volume.geometry, mark.center)
      const [x, y] = [i + 0.5, j + 0.5]
      const [w, h] = [mark.diameterMm / dx / 2, mark.diameterMm / dy / 2]
      const slice = Math.min(volume.shape[0] - 1, Math.max(0, Math.round(k)))
      drawn.set(mark, {
        image: await panel(volume, slice, x, y, VIEW_MM, { x1: x - w, y1: y - h, x2: x + w, y2: y + h }),
        label: `${scan.patientId} slice ${slice}\nconfidence ${mark.score.toFixed(2)}`,
      })
    }
  }
  await sheet(
    'false-marks.png',
    'marks on nothing that a reader pointed at, highest confidence first',
    worst.flatMap((mark) => drawn.get(mark) ?? []),
  )
}

await drawCurves('froc-sizes.png', 'by diameter', [
  curve('all', outcomes, () => true),
  ...SIZES.map(({ name, low, high }) =>
    curve(name, outcomes, ({ diameterMm }) => diameterMm >= low && diameterMm < high),
  ),
])
if (values.more.length > 0) {
  await drawCurves('froc-compared.png', 'what each part contributes', [
    curve('all of it', outcomes, () => true),
    ...values.more.map((item) => {
      const [name, path] = item.split('=') as [string, string]
      return curve(name, read(path), () => true)
    }),
  ])
}
await drawMisses(join(data, 'lidc-nodule-stacks', 'lidc-nodule-stacks'))
await drawFalseMarks(['lidc-idri-0001', 'lidc-idri-0003', 'qin-lung-ct'].map((name) => join(data, name)))
