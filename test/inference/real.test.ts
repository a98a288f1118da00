import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { findSeries } from '../../src/dicom/index.js'
import { patientToVoxel } from '../../src/geometry/patient.js'
import { detectFolders, openSession, readDetections } from '../../src/inference/index.js'
import { realData } from '../real_data.js'
import { modelFolder } from './small_model.js'

const folder = realData('lidc-idri-0001')

describe.skipIf(folder === undefined)('LIDC-IDRI-0001', () => {
  test('goes from its folder to nodules in mm, within its lungs', async () => {
    const { folder: made, model } = await modelFolder()
    const output = await mkdtemp(join(tmpdir(), 'nodule-real-'))
    const session = await openSession(model, { device: 'cpu' })
    try {
      const result = await detectFolders([folder!], session, { output })
      expect(result.notes.filter(({ failed }) => failed)).toEqual([])
      expect(result.scans).toHaveLength(1)
      const found = await readDetections(result.scans[0]!.path)
      const { series } = await findSeries([folder!])
      expect(found.volume).toMatchObject({ shape: [133, 512, 512], spacing: [2.5, 0.703125, 0.703125] })
      // Lungs of an adult: 20 to 35 cm high, less than 40 cm wide.
      expect(found.slices.length).toBeGreaterThan(80)
      expect(found.slices.length).toBeLessThan(133)
      expect(found.frame.frameWidth / found.frame.scale).toBeLessThan(400 / 0.703125)
      for (const { k, sopInstanceUid, z } of found.slices) {
        expect(sopInstanceUid).toBe(series[0]!.slices[k]!.sopInstanceUid)
        expect(z).toBeCloseTo(series[0]!.slices[k]!.imagePosition[2], 6)
      }
      expect(found.nodules.length).toBeGreaterThan(0)
      for (const { center, centerVoxel, slices } of found.nodules) {
        patientToVoxel(found.volume.geometry, center).forEach((value, axis) =>
          expect(value).toBeCloseTo(centerVoxel[axis]!, 4),
        )
        expect(centerVoxel[0]).toBeGreaterThanOrEqual(slices[0] - 1e-6)
        expect(centerVoxel[0]).toBeLessThanOrEqual(slices[1] + 1e-6)
      }
    } finally {
      await session.release()
      await rm(output, { recursive: true })
      await rm(made, { recursive: true })
    }
  })
})
