import { join } from 'node:path'
import { annotateFolders } from '../scans/index.js'
import { drawNodules } from './draw_nodules.js'
import { checkInteger, checkObject, checkText, checkTexts, noEffect } from '../check.js'
import { textureType, type ConsensusNodule } from '../annotations/index.js'
import type { AnnotatedSeries } from '../annotations/types.js'
import { NoduleError } from '../errors.js'
import { makeOutputFolder, writeFileAtomic } from '../files.js'
import { loadVolume, type HuVolume } from '../volume/hu_volume.js'
import { segmentLungs } from '../volume/lungs/lungs.js'
import { type Lungs } from '../volume/lungs/types.js'
import { planePanel, tilePanels } from './montage.js'
import { failureOf, fileNames } from './segment.js'
import { anatomyOverview } from './tissue.js'
import { lungWindow, windowToGray } from '../volume/window.js'
import { count } from '../words.js'
import { isStopped, keepFailures } from '../work.js'
import type { WorkOptions } from '../work.js'
import { append } from '../lists.js'

/** Forms of nodules, by the means of the readers' ratings; a nodule may have several. */
export const noduleForms = [
  'solid',
  'part-solid',
  'ground glass',
  'lobulated',
  'spiculated',
  'calcified',
  'at the pleura',
] as const
export type NoduleForm = (typeof noduleForms)[number]

/** The forms of a nodule. Ratings are LIDC's: texture 1 (ground glass) to 5 (solid), lobulation and spiculation 1 to 5. */
export function formsOf(
  nodule: Pick<ConsensusNodule, 'ratings' | 'mask'>,
  lungs: Lungs,
  volume: HuVolume,
): NoduleForm[] {
  const forms: NoduleForm[] = []
  const { ratings } = nodule
  if (ratings !== undefined) {
    forms.push(textureType(ratings.texture.mean))
    if (ratings.lobulation.mean >= 3) forms.push('lobulated')
    if (ratings.spiculation.mean >= 3) forms.push('spiculated')
    if (ratings.calcification.median < 6) forms.push('calcified')
  }
  if (touchesPleura(nodule, lungs, volume)) forms.push('at the pleura')
  return forms
}

/** Whether tissue outside of the lungs lies just outside of the nodule, in its slice. */
function touchesPleura({ mask }: Pick<ConsensusNodule, 'mask'>, lungs: Lungs, volume: HuVolume): boolean {
  const [, ny, nx] = volume.shape
  const [mz, my, mx] = mask.shape
  const reach = Math.max(1, Math.round(1.5 / volume.geometry.spacing[2]))
  let outside = 0
  for (let z = 0; z < mz; z++)
    for (let y = 0; y < my; y++)
      for (let x = 0; x < mx; x++) {
        if (mask.voxels[(z * my + y) * mx + x] !== 1) continue
        const [k, j, i] = [mask.k0 + z, mask.j0 + y, mask.i0 + x]
        for (const [dj, di] of [
          [-reach, 0],
          [reach, 0],
          [0, -reach],
          [0, reach],
        ] as const) {
          if (j + dj < 0 || j + dj >= ny || i + di < 0 || i + di >= nx) continue
          const beside = (k * ny + j + dj) * nx + i + di
          // Tissue, that is; the lumen of a bronchus lies outside of the lungs' mask, too.
          if (lungs.mask[beside] === 0 && volume.data[beside]! > -300) outside++
        }
      }
  return outside > 2
}

export interface GalleryOptions extends WorkOptions {
  output: string
  /** Further XML files, or folders of them. */
  xml?: readonly string[]
  /** Which pictures; default all. */
  forms?: boolean
  anatomy?: boolean
  contours?: boolean
  /** Nodules with fewer readers are left out; default 1. */
  minReaders?: number
  /** Most nodules in a row of the montage of forms, 1 to 1000; default 8. */
  perForm?: number | undefined
}

/**
 * Draws pictures of annotated scans into a folder: `forms.png` (nodules by form), `PATIENT_UID.anatomy.png` (tissue by HU
 * class) and `PATIENT_UID_noduleN.png` (the readers' contours on each slice of a nodule).
 *
 * @returns the paths of the pictures, the number of scans and files (DICOM, XML) that failed, and why, one line each
 * @throws NoduleError FILE (also where results cannot be written to `output`), FORMAT (no annotated scan), INVALID_PARAMETER
 */
export async function drawGallery(
  folders: readonly string[],
  o: GalleryOptions,
): Promise<{ paths: string[]; failed: number; problems: string[] }> {
  checkTexts('folders', folders)
  checkText('output', checkObject('options', o).output)
  const perForm = checkInteger('perForm', o.perForm ?? 8, 1, 1000)
  if (o.minReaders !== undefined) checkInteger('minReaders', o.minReaders, 1, 1000)
  if ([o.forms, o.anatomy, o.contours].every((one) => one === false))
    throw new NoduleError('INVALID_PARAMETER', 'nothing to draw', {
      parameter: ['forms', 'anatomy', 'contours'],
      expected: 'at least one of them',
      actual: 'none',
    })
  if (o.forms === false && o.perForm !== undefined)
    throw noEffect('perForm', 'a picture of the forms', 'none')
  await makeOutputFolder(o.output)
  const run = await annotateFolders(folders, {
    xml: o.xml ?? [],
    minReaders: o.minReaders ?? 1,
    signal: o.signal,
  })
  const { problems, fail } = keepFailures(o)
  for (const note of run.notes) o.onWarning?.(note)
  for (const problem of run.problems) fail(problem)
  if (isStopped(o.signal)) return { paths: [], failed: 0, problems: [] }
  if (run.annotated.length === 0)
    throw new NoduleError('FORMAT', 'no annotated scan in the folders', {
      path: folders.join(', '),
      expected: 'DICOM series with their LIDC XML',
    })
  if (o.forms !== false || o.contours !== false) tellNoNodule(run.annotated, o)
  const names = fileNames(run.annotated.map(({ series }) => series))
  const paths: string[] = []
  const byForm = new Map<NoduleForm, { image: Buffer; label: string }[]>()
  let failed = run.problems.length
  for (const [n, annotated] of run.annotated.entries()) {
    if (isStopped(o.signal)) break
    const { series, nodules } = annotated
    try {
      if (o.forms !== false || o.anatomy !== false) {
        const volume = await loadVolume(series)
        const lungs = segmentLungs(volume)
        if (o.anatomy !== false) {
          const path = join(o.output, `${names.get(series)!}.anatomy.png`)
          await writeFileAtomic(path, await anatomyOverview(volume, lungs, series.patientId))
          paths.push(path)
        }
        if (o.forms !== false)
          for (const nodule of nodules)
            for (const form of formsOf(nodule, lungs, volume)) {
              const row = byForm.get(form) ?? []
              byForm.set(form, row)
              if (row.length < perForm) row.push(await formPanel(nodule, volume))
            }
      }
      if (o.contours !== false)
        append(paths, await drawNodules(annotated, join(o.output, names.get(series)!)))
    } catch (error) {
      if (!(error instanceof NoduleError)) throw error
      failed++
      fail(failureOf(series, error))
    }
    o.onProgress?.(n + 1, run.annotated.length, series.patientId)
  }
  const rows = noduleForms.filter((form) => byForm.has(form))
  if (o.forms !== false && rows.length > 0) {
    const path = join(o.output, 'forms.png')
    const panels = rows.map((form) =>
      byForm.get(form)!.map(({ image, label }, n) => ({
        image,
        label: n === 0 ? `${form.toUpperCase()}\n${label}` : label,
      })),
    )
    await writeFileAtomic(path, await tilePanels(panels, 'Forms of nodules, 50 x 50 mm each', formSide))
    paths.unshift(path)
  }
  return { paths, failed, problems }
}

/** Without nodules there are no pictures of them: it is said why. */
function tellNoNodule(annotated: readonly AnnotatedSeries[], o: GalleryOptions): void {
  if (annotated.some(({ nodules }) => nodules.length > 0)) return
  const leftOut = annotated.reduce((sum, one) => sum + (one.leftOut?.byReaders ?? 0), 0)
  const scans = count(annotated.length, 'scan')
  o.onWarning?.(
    leftOut === 0
      ? `no nodule is drawn: the readers of ${scans} outlined none`
      : `no nodule is drawn: of the ${leftOut} in ${scans} none has ${count(o.minReaders ?? 1, 'reader')}`,
  )
}

const formSide = 176
/** Side of the patch around a nodule, mm. */
const formMm = 50

/** A nodule on its largest slice, 50 x 50 mm, with its size and ratings. */
async function formPanel(
  nodule: ConsensusNodule,
  volume: HuVolume,
): Promise<{ image: Buffer; label: string }> {
  const [, ny, nx] = volume.shape
  const [, dy, dx] = volume.geometry.spacing
  const area = ({ box }: ConsensusNodule['boxes'][number]): number => (box.x2 - box.x1) * (box.y2 - box.y1)
  const [, j, i] = nodule.centroidVoxel
  const largest = [...nodule.boxes].sort((a, b) => area(b) - area(a))[0]
  const k = largest?.k ?? Math.round(nodule.centroidVoxel[0])
  const [width, height] = [Math.round(formMm / dx), Math.round(formMm / dy)]
  const [x0, y0] = [Math.round(i - width / 2), Math.round(j - height / 2)]
  const image = await planePanel(
    { width, height, dx, dy },
    (x, y) => {
      const [column, row] = [x0 + x, y0 + y]
      if (column < 0 || row < 0 || column >= nx || row >= ny) return [0, 0, 0]
      const level = windowToGray(volume.data[(k * ny + row) * nx + column]!, ...lungWindow)
      return [level, level, level]
    },
    formSide,
  )
  const { ratings, malignancy } = nodule
  const label = [
    `${volume.patientId} #${nodule.id}`,
    `eq. diam. ${nodule.equivalentDiameterMm.toFixed(1)} mm, ${count(nodule.readers, 'reader')}`,
    ratings === undefined
      ? 'no ratings'
      : `tex ${ratings.texture.mean.toFixed(1)} spic ${ratings.spiculation.mean.toFixed(1)} mal ${malignancy?.toFixed(1) ?? '-'}`,
  ].join('\n')
  return { image, label }
}
