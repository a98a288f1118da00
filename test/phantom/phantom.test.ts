import { createHash } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { consensusNodules, placeOnSeries, readAnnotationsFor } from '../../src/annotations/index.js'
import { findSeries } from '../../src/dicom/index.js'
import { NoduleError } from '../../src/errors.js'
import { voxelToPatient } from '../../src/geometry/patient.js'
import { makePatient, writePatient, writePhantoms, type PhantomPatient } from '../../src/phantom/index.js'
import { loadVolume } from '../../src/volume/index.js'

const small = { matrix: 128, spacing: 5, nodules: 5 } as const

function digest(data: Int16Array | Uint8Array): string {
  return createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex')
}

describe('makePatient', () => {
  let patient: PhantomPatient
  beforeAll(() => {
    patient = makePatient({ ...small, seed: 11, contrast: true, kernel: 'STANDARD' })
  })

  it('gives the same patient for the same seed, bit for bit, and another for another', () => {
    const again = makePatient({ ...small, seed: 11, contrast: true, kernel: 'STANDARD' })
    expect(digest(again.volume.data)).toBe(digest(patient.volume.data))
    expect(again.truth).toEqual(patient.truth)
    expect(again.readers).toEqual(patient.readers)
    expect(digest(again.lungs)).toBe(digest(patient.lungs))
    const other = makePatient({ ...small, seed: 12, contrast: true })
    expect(digest(other.volume.data)).not.toBe(digest(patient.volume.data))
    expect(other.volume.seriesInstanceUid).not.toBe(patient.volume.seriesInstanceUid)
  })

  it('has the HU of each tissue', () => {
    const { volume, lungs } = patient
    const counts = { air: 0, lung: 0, fat: 0, tissue: 0, blood: 0, bone: 0 }
    let sum = 0
    let inLungs = 0
    let outOfRange = 0
    for (let n = 0; n < volume.data.length; n++) {
      const hu = volume.data[n]!
      if (hu < -1024 || hu > 3071) outOfRange++
      if (hu < -950) counts.air++
      else if (hu > -930 && hu < -760) counts.lung++
      else if (hu > -150 && hu < -50) counts.fat++
      else if (hu > 0 && hu < 100) counts.tissue++
      else if (hu > 180 && hu < 320) counts.blood++
      else if (hu > 400) counts.bone++
      if (lungs[n] === 1) {
        sum += hu
        inLungs++
      }
    }
    expect(outOfRange).toBe(0)
    const share = (count: number): number => count / volume.data.length
    expect(share(counts.lung)).toBeGreaterThan(0.08)
    expect(share(counts.fat)).toBeGreaterThan(0.05)
    expect(share(counts.tissue)).toBeGreaterThan(0.08)
    expect(share(counts.blood)).toBeGreaterThan(0.005)
    expect(share(counts.bone)).toBeGreaterThan(0.005)
    expect(sum / inLungs).toBeGreaterThan(-880)
    expect(sum / inLungs).toBeLessThan(-760)
    expect(patient.truth.lungsMl).toBeGreaterThan(1500)
    expect(patient.truth.lungsMl).toBeLessThan(7000)
  })

  it('places nodules in the lungs, apart, and says where they are', () => {
    const { truth, volume } = patient
    expect(truth.nodules.length).toBe(5)
    for (const nodule of truth.nodules) {
      const back = voxelToPatient(volume.geometry, ...nodule.centerVoxel)
      for (const axis of [0, 1, 2] as const) expect(back[axis]).toBeCloseTo(nodule.center[axis], 6)
      expect(nodule.equivalentDiameterMm).toBeGreaterThan(3)
      expect(nodule.equivalentDiameterMm).toBeLessThan(31)
      expect(nodule.readers.length).toBeGreaterThanOrEqual(2)
      for (const { box, k, sopInstanceUid } of nodule.slices) {
        expect(box.x2).toBeGreaterThan(box.x1)
        expect(box.y2).toBeGreaterThan(box.y1)
        expect(sopInstanceUid).toBe(volume.sopInstanceUids[k])
        expect(box.x1).toBeLessThanOrEqual(nodule.centerVoxel[2] + nodule.equivalentDiameterMm)
      }
      for (const other of truth.nodules) {
        if (other === nodule) continue
        const distance = Math.hypot(...nodule.center.map((c, axis) => c - other.center[axis as 0 | 1 | 2]))
        expect(distance).toBeGreaterThan((nodule.equivalentDiameterMm + other.equivalentDiameterMm) / 2)
      }
    }
  })

  it('makes nodules brighter than the lung around them', () => {
    const { truth, volume } = patient
    for (const nodule of truth.nodules.filter((n) => n.equivalentDiameterMm > 6 && n.type === 'solid')) {
      const [k, j, i] = nodule.centerVoxel.map(Math.round) as [number, number, number]
      const hu = volume.data[(k * volume.shape[1] + j) * volume.shape[2] + i]!
      expect(hu, nodule.id).toBeGreaterThan(-250)
    }
  })

  it('has a hard preset: small nodules in noise, with look-alikes', () => {
    const findings = { patches: 0, scars: 0, plaques: 0 }
    for (const seed of [1, 2, 3]) {
      const { truth } = makePatient({ matrix: 64, spacing: 10, seed, hard: true })
      expect(truth.noiseHu).toBeGreaterThan(10)
      for (const nodule of truth.nodules) expect(nodule.equivalentDiameterMm).toBeLessThan(16)
      findings.patches += truth.findings.patches
      findings.scars += truth.findings.scars
      findings.plaques += truth.findings.plaques
    }
    expect(Object.values(findings).every((count) => count > 0)).toBe(true)
  })

  it('refuses options out of range', () => {
    expect(() => makePatient({ matrix: 20 })).toThrow(NoduleError)
    expect(() => makePatient({ spacing: 0 })).toThrow('for spacing')
    expect(() => makePatient({ nodules: [5, 2] })).toThrow('nodules[1]')
    expect(() => makePatient({ hard: true, diameter: [20, undefined] })).toThrow(
      'between 20 and 60 for diameter[1] but received 14',
    )
    expect(() => makePatient({ seed: -1 })).toThrow('for seed')
    expect(() => makePatient({ kernel: 'SOFT' })).toThrow('one of STANDARD')
    expect(() => makePatient({ patientId: '../x' })).toThrow('for patientId')
  })
})

describe('written patients', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nodule-phantom-'))
  })
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  it('come back from DICOM and LIDC XML as they were made', async () => {
    const patient = makePatient({ matrix: 192, spacing: 2.5, nodules: 6, seed: 5, diameter: [6, 28] })
    const written = await writePatient(folder, patient)
    const { series, skipped } = await findSeries([written.folder])
    expect(skipped.filter((file) => file.kind !== 'foreign')).toEqual([])
    expect(series.length).toBe(1)
    const scan = series[0]!
    expect(scan.problems).toEqual([])
    expect(scan.patientId).toBe('PHANTOM-0001')
    // File names must not help: they are not in the order of the slices.
    const names = scan.slices.map((slice) => slice.path)
    expect(names).not.toEqual(names.toSorted())
    const volume = await loadVolume(scan)
    expect(digest(volume.data)).toBe(digest(patient.volume.data))
    expect(volume.sopInstanceUids).toEqual(patient.volume.sopInstanceUids)
    for (const axis of [0, 1, 2] as const) {
      expect(volume.geometry.origin[axis]).toBeCloseTo(patient.volume.geometry.origin[axis], 5)
      expect(volume.geometry.spacing[axis]).toBeCloseTo(patient.volume.geometry.spacing[axis], 5)
    }

    const reading = (await readAnnotationsFor(scan))!
    expect(reading.sessions.length).toBe(4)
    const placed = placeOnSeries(reading, scan)
    expect(placed.unplaced).toEqual([])
    const nodules = consensusNodules(placed, scan.geometry)
    expect(nodules.length).toBe(patient.truth.nodules.length)
    for (const truth of patient.truth.nodules) {
      const near = nodules.find(
        (n) =>
          Math.hypot(...n.centroid.map((c, axis) => c - truth.center[axis as 0 | 1 | 2])) <
          truth.equivalentDiameterMm / 2,
      )
      expect(near, truth.id).toBeDefined()
      expect(near!.readers).toBe(truth.readers.length)
      const [dz, dy, dx] = volume.geometry.spacing
      const d = near!.centroidVoxel.map((c, axis) => c - truth.centerVoxel[axis as 0 | 1 | 2])
      expect(Math.abs(d[0]! * dz)).toBeLessThan(1.0 * dz)
      expect(Math.abs(d[1]! * dy)).toBeLessThan(1.5 * dy)
      expect(Math.abs(d[2]! * dx)).toBeLessThan(1.5 * dx)
      expect(Math.abs(near!.equivalentDiameterMm - truth.equivalentDiameterMm)).toBeLessThan(
        0.12 * truth.equivalentDiameterMm + dy,
      )
      const type = near!.ratings!.texture.mean
      if (truth.type === 'ground-glass') expect(type).toBeLessThan(2)
      if (truth.type === 'solid') expect(type).toBeGreaterThan(4)
    }
  })

  it.each(['LUNG', 'B30f', 'D', 'FC10'])(
    'of kernel %s come back whatever the vendor stores',
    async (kernel) => {
      const patient = makePatient({ matrix: 64, spacing: 10, slices: 4, nodules: 0, kernel, seed: 2 })
      const dir = join(folder, kernel)
      const { folder: written } = await writePatient(dir, patient)
      const { series } = await findSeries([written])
      const volume = await loadVolume(series[0]!)
      expect(digest(volume.data)).toBe(digest(patient.volume.data))
      expect(series[0]!.slices[0]!.kernel).toBe(kernel)
      expect(patient.truth.kernel).toBe(kernel)
    },
  )

  it('are the same whichever others are made', async () => {
    const options = { matrix: 64, spacing: 10, nodules: 1, seed: 3 }
    const one = join(folder, 'one')
    const two = join(folder, 'two')
    // In threads and in this one.
    const written = await writePhantoms(one, { ...options, patients: 2, jobs: 2 })
    const seen: unknown[] = []
    await writePhantoms(two, { ...options, first: 2, onProgress: (...told) => seen.push(told) })
    expect(seen).toEqual([[1, 1, 'PHANTOM-0002']])
    expect(written.map((patient) => patient.patientId)).toEqual(['PHANTOM-0001', 'PHANTOM-0002'])
    expect((await readdir(one)).sort()).toEqual(['PHANTOM-0001', 'PHANTOM-0002'])
    const truth = (dir: string): Promise<string> => readFile(join(dir, 'PHANTOM-0002', 'truth.json'), 'utf8')
    expect(await truth(one)).toBe(await truth(two))
  })

  it('are refused where another one has the folder; the same one may be made again', async () => {
    const dir = join(folder, 'again')
    const options = { matrix: 64, spacing: 10, slices: 4, nodules: 0, seed: 3 }
    const { truthPath } = await writePatient(dir, makePatient(options))
    const truth = await readFile(truthPath, 'utf8')
    await writePatient(dir, makePatient(options))
    for (const other of [{ seed: 4 }, { slices: 5 }, { matrix: 72 }, { noise: 1 }])
      await expect(writePatient(dir, makePatient({ ...options, ...other }))).rejects.toMatchObject({
        code: 'FILE',
        path: join(dir, 'PHANTOM-0001'),
        summary: 'the folder holds another phantom',
      })
    expect(await readFile(truthPath, 'utf8')).toBe(truth)
    await writeFile(truthPath, 'null')
    await expect(writePatient(dir, makePatient(options))).rejects.toThrow(
      /truth\.json: not a phantom's truth/,
    )
    // Of one that was interrupted there is no truth yet.
    await rm(truthPath)
    await expect(writePatient(dir, makePatient({ ...options, seed: 4 }))).rejects.toThrow(
      /another phantom: .* received study 2\.25\./,
    )
    await writePatient(dir, makePatient(options))
    expect(await readFile(truthPath, 'utf8')).toBe(truth)
  })

  it('stand options that callers hand on to all long work', async () => {
    const work = { onWarning: () => undefined, onFailure: () => undefined }
    const options = { matrix: 64, spacing: 10, nodules: 1, patients: 2, jobs: 2, ...work }
    const written = await writePhantoms(join(folder, 'handed on'), options)
    expect(written).toHaveLength(2)
  })

  it('stop between patients when asked to', async () => {
    const done = await writePhantoms(join(folder, 'none'), { patients: 3, signal: AbortSignal.abort() })
    expect(done).toEqual([])
  })
})
