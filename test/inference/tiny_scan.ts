import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeSlice } from '../../src/dicom/write/writer.js'
import { createRandom } from '../../src/random.js'

export interface TinyScan {
  patientId?: string
  seriesInstanceUid?: string
  slices?: number
}

export const TINY = { rows: 64, columns: 64, pixelMm: 5, sliceMm: 10 }

/** A chest of ellipses with a ball in the right lung, as DICOM files: 64 x 64 pixels of 5 mm. */
export async function writeTinyScan(folder: string, scan: TinyScan = {}): Promise<string[]> {
  const { rows, columns, pixelMm, sliceMm } = TINY
  const random = createRandom(4)
  const series = scan.seriesInstanceUid ?? '1.2.826.0.1.1'
  await mkdir(folder, { recursive: true })
  const paths: string[] = []
  for (let k = 0; k < (scan.slices ?? 14); k++) {
    const pixels = new Int16Array(rows * columns)
    for (let j = 0; j < rows; j++) {
      for (let i = 0; i < columns; i++) {
        const [x, y, z] = [(i - 31.5) * pixelMm, (j - 31.5) * pixelMm, (k - 6.5) * sliceMm]
        const within = (cx: number, cy: number, a: number, b: number): boolean =>
          ((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 < 1
        const reach = Math.sqrt(Math.max(0, 1 - (z / 75) ** 2))
        let hu = -1000
        if (within(0, 0, 150, 110)) hu = 40
        if (within(-65, 0, 55 * reach, 75 * reach) || within(65, 0, 55 * reach, 75 * reach)) hu = -850
        if (Math.hypot(x + 65, y - 10, z) < 18) hu = 30
        pixels[j * columns + i] = hu + Math.round(10 * random.normal()) + 1024
      }
    }
    const bytes = encodeSlice({
      patientId: scan.patientId ?? 'TINY-1',
      studyInstanceUid: '1.2.826.0.1',
      seriesInstanceUid: series,
      sopInstanceUid: `1.2.826.0.1.9.${k + 1}`,
      frameOfReferenceUid: '1.2.826.0.2',
      instanceNumber: k + 1,
      rows,
      columns,
      pixels,
      imagePosition: [-157.5, -157.5, -100 + k * sliceMm],
      rowDirection: [1, 0, 0],
      columnDirection: [0, 1, 0],
      pixelSpacing: [pixelMm, pixelMm],
      sliceThickness: sliceMm,
      rescaleIntercept: -1024,
      rescaleSlope: 1,
      manufacturer: 'nodule',
      model: 'test',
      kernel: 'B',
      kvp: 120,
      tubeCurrent: 100,
      reconstructionDiameter: 320,
    })
    const path = join(folder, `${String(k + 1).padStart(3, '0')}.dcm`)
    await writeFile(path, bytes)
    paths.push(path)
  }
  return paths
}
