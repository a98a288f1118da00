import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findSeries } from '../../src/dicom/index.js'
import { writeSlice, type SliceToWrite } from '../../src/dicom/write/writer.js'
import { loadVolume } from '../../src/volume/index.js'
import golden from '../fixtures/volume/hu_golden.json' with { type: 'json' }
import { realData } from '../real_data.js'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nodule-volume-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** A slice of 4 x 4 pixels with its own rescale. */
function slice(k: number, over: Partial<SliceToWrite> = {}): SliceToWrite {
  return {
    patientId: 'P',
    studyInstanceUid: '1.2',
    seriesInstanceUid: '1.2.3',
    sopInstanceUid: `1.2.3.${k}`,
    frameOfReferenceUid: '1.9',
    instanceNumber: k + 1,
    rows: 4,
    columns: 4,
    pixels: Int16Array.from({ length: 16 }, (_, n) => (n === 0 ? -2000 : 100 * k + n)),
    imagePosition: [0, 0, 3 * k],
    rowDirection: [1, 0, 0],
    columnDirection: [0, 1, 0],
    pixelSpacing: [1, 1],
    sliceThickness: 3,
    rescaleIntercept: -1024,
    rescaleSlope: 1,
    padding: -2000,
    manufacturer: 'M',
    model: 'X',
    kernel: 'K',
    kvp: 120,
    tubeCurrent: 100,
    reconstructionDiameter: 4,
    ...over,
  }
}

describe('loadVolume', () => {
  it('refuses a buffer of another type', async () => {
    const dir = join(folder, 'reuse')
    await writeSlice(join(dir, 'a.dcm'), slice(0))
    const { series } = await findSeries([dir])
    const reuse = new Float32Array(16) as unknown as Int16Array
    await expect(loadVolume(series[0]!, { reuse })).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      parameters: ['reuse'],
    })
    const used = new Int16Array(20)
    expect((await loadVolume(series[0]!, { reuse: used })).data.buffer).toBe(used.buffer)
  })

  it('rescales each slice by its own slope and intercept and turns padding into air', async () => {
    const dir = join(folder, 'rescale')
    await writeSlice(join(dir, 'b.dcm'), slice(0))
    await writeSlice(join(dir, 'a.dcm'), slice(1, { rescaleSlope: 2, rescaleIntercept: -1000 }))
    const { series } = await findSeries([dir])
    const volume = await loadVolume(series[0]!)
    expect(volume.shape).toEqual([2, 4, 4])
    expect([...volume.data.subarray(0, 3)]).toEqual([-1000, 1 - 1024, 2 - 1024])
    expect([...volume.data.subarray(16, 19)]).toEqual([-1000, 2 * 101 - 1000, 2 * 102 - 1000])
    expect(volume.sopInstanceUids).toEqual(['1.2.3.0', '1.2.3.1'])
    expect(volume.geometry.spacing).toEqual([3, 1, 1])
  })

  it('uses the memory of an earlier volume again', async () => {
    const { series } = await findSeries([join(folder, 'rescale')])
    const reuse = new Int16Array(100).fill(77)
    const volume = await loadVolume(series[0]!, { reuse })
    expect(volume.data.buffer).toBe(reuse.buffer)
    expect(volume.data).toEqual((await loadVolume(series[0]!)).data)
  })

  it('keeps the padding of each slice apart', async () => {
    const dir = join(folder, 'padding')
    await writeSlice(join(dir, '1.dcm'), slice(0))
    await writeSlice(join(dir, '2.dcm'), slice(1, { padding: 101 }))
    const { series } = await findSeries([dir])
    const { data } = await loadVolume(series[0]!)
    expect([data[0], data[1]]).toEqual([-1000, 1 - 1024])
    expect([data[16], data[17]]).toEqual([-2000 - 1024, -1000])
  })
})

const archives = [...new Set(golden.map((row) => row.archive))]

describe.each(archives)('HU of %s', (archive) => {
  const dir = realData(archive)
  it.skipIf(dir === undefined)('are those of pydicom, slice by slice', async () => {
    const { series } = await findSeries([dir!])
    let seen = 0
    for (const scan of series.filter((s) => s.modality === 'CT')) {
      const rows = golden.filter(
        (row) => row.archive === archive && scan.slices.some((s) => s.sopInstanceUid === row.sopInstanceUid),
      )
      if (rows.length === 0) continue
      const volume = await loadVolume(scan)
      const [, ny, nx] = volume.shape
      for (const row of rows) {
        const k = volume.sopInstanceUids.indexOf(row.sopInstanceUid)
        const hu = volume.data.subarray(k * ny * nx, (k + 1) * ny * nx)
        const sum = hu.reduce((total, value) => total + value, 0)
        const sumOfSquares = hu.reduce((total, value) => total + value * value, 0)
        const diagonal = Array.from(
          { length: 8 },
          (_, n) => hu[Math.floor((n * ny) / 8) * nx + Math.floor((n * nx) / 8)],
        )
        const low = hu.reduce((a, b) => Math.min(a, b), Infinity)
        const high = hu.reduce((a, b) => Math.max(a, b), -Infinity)
        expect({ sum, sumOfSquares, low, high, diagonal }).toEqual({
          sum: row.sum,
          sumOfSquares: row.sumOfSquares,
          low: row.low,
          high: row.high,
          diagonal: row.diagonal,
        })
        seen++
      }
    }
    expect(seen).toBe(golden.filter((row) => row.archive === archive).length)
  })
})
