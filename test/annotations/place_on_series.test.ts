/** Outlines on volume files lie where they lie on the DICOM slices that the files were made of. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { findSeries } from '../../src/dicom/index.js'
import { encodeNifti } from '../../src/formats/index.js'
import type { Vector3 } from '../../src/geometry/vector.js'
import { annotateFolders, annotationJson, convertSeries } from '../../src/scans/index.js'
import { loadVolume } from '../../src/volume/index.js'
import { jsonToXml } from '../../src/annotations/index.js'
import { sliceFile } from '../dicom/bytes.js'
import { characteristics, message, nodule, roi, session, square } from './xml.js'

const UID = '1.2.3.4'
const SUPINE = '1\\0\\0\\0\\1\\0'
const PRONE = '-1\\0\\0\\0\\-1\\0'

let folder: string
let dicom: string
let xml: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-place-'))
  dicom = join(folder, 'dicom')
  mkdirSync(dicom)
  xml = join(folder, 'a.xml')
  const outline = square(20, 5, 4)
  const rois = [1, 2].map((k) => roi(2 * k, outline, 'TRUE', `1.9.${k}`))
  writeFileSync(xml, message(session(nodule('1', characteristics(), ...rois))))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function putDicom(orientation: string): void {
  for (let k = 0; k < 4; k++) {
    const slice = sliceFile({ z: 2 * k, instance: k, uid: `1.9.${k}`, rows: 24, columns: 32, orientation })
    writeFileSync(join(dicom, `${k}.dcm`), slice)
  }
}

/** Center of the nodule in the patient, mm; what is warned of. */
async function placeIn(
  path: string,
  readings = xml,
): Promise<{ center: Vector3; warnings: readonly string[] }> {
  const { annotated } = await annotateFolders([path], { xml: [readings] })
  expect(annotated).toHaveLength(1)
  expect(annotated[0]!.placed.unplaced).toEqual([])
  return { center: annotated[0]!.nodules[0]!.centroid, warnings: annotated[0]!.placed.warnings }
}

const near = (center: Vector3): Vector3 =>
  center.map((value) => expect.closeTo(value, 3) as number) as unknown as Vector3

it.each([
  ['supine', SUPINE, [-10 + 21.5 * 0.7, -20 + 6.5 * 0.7, 3]],
  ['prone', PRONE, [-10 - 21.5 * 0.7, -20 - 6.5 * 0.7, 3]],
] as const)('on a MetaImage made of the DICOM of a %s patient', async (_, orientation, expected) => {
  putDicom(orientation)
  const at = { center: near(expected), warnings: [] }
  expect(await placeIn(dicom)).toEqual(at)
  const output = join(folder, `${UID}.mhd`)
  await convertSeries([dicom], output)
  expect(await placeIn(output)).toEqual(at)
  // And by way of our own JSON and XML.
  const json = join(folder, 'a.json')
  writeFileSync(json, JSON.stringify(annotationJson(await annotateFolders([output], { xml: [xml] }))))
  const [again] = await jsonToXml(json, join(folder, 'xml'))
  expect(await placeIn(output, again)).toEqual(at)
})

it('on a NIfTI with its rows turned around, as dcm2niix writes a supine patient', async () => {
  putDicom(SUPINE)
  const { data, shape, geometry } = await loadVolume((await findSeries([dicom])).series[0]!)
  const [depth, rows, columns] = shape
  const turned = new Int16Array(data.length)
  for (let k = 0; k < depth; k++)
    for (let j = 0; j < rows; j++) {
      const row = data.subarray((k * rows + j) * columns, (k * rows + j + 1) * columns)
      turned.set(row, (k * rows + rows - 1 - j) * columns)
    }
  const [x, y, z] = geometry.origin
  const origin: Vector3 = [x, y + (rows - 1) * geometry.spacing[1], z]
  const bytes = encodeNifti({
    data: turned,
    shape,
    geometry: { ...geometry, origin, columnDirection: [0, -1, 0] },
  })
  const path = join(folder, `${UID}.nii`)
  writeFileSync(path, bytes)
  const { center, warnings } = await placeIn(dicom)
  expect(await placeIn(path)).toEqual({ center: near(center), warnings })
})

it("warns on a NIfTI whose columns run to the patient's right", async () => {
  putDicom(PRONE)
  const path = join(folder, `${UID}.nii`)
  await convertSeries([dicom], path)
  expect((await placeIn(path)).warnings).toEqual([
    expect.stringMatching(/run to the patient's right .* prone they are mirrored/),
  ])
})
