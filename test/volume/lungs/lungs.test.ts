import { describe, expect, it } from 'vitest'
import { consensusNodules, placeOnSeries, readAnnotationsFor } from '../../../src/annotations/index.js'
import { findSeries } from '../../../src/dicom/index.js'
import { patientToVoxel } from '../../../src/geometry/patient.js'
import { type Vector3 } from '../../../src/geometry/vector.js'
import { addonStatus } from '../../../src/kernels/index.js'
import { makePatient } from '../../../src/phantom/index.js'
import { loadVolume, segmentLungs, type HuVolume } from '../../../src/volume/index.js'
import { realData } from '../../real_data.js'

function dice(a: Uint8Array, b: Uint8Array): number {
  let both = 0
  let sum = 0
  for (let n = 0; n < a.length; n++) {
    both += a[n]! & b[n]!
    sum += a[n]! + b[n]!
  }
  return (2 * both) / sum
}

/** The addon's lungs are those of the TypeScript twin, voxel by voxel. */
function expectSameOnBoth(volume: HuVolume): void {
  const options = { sides: true, closingMm: 7 }
  const native = segmentLungs(volume, { ...options, device: 'cpu' })
  const twin = segmentLungs(volume, { ...options, device: 'reference' })
  expect(Buffer.compare(native.mask, twin.mask)).toBe(0)
  // Where there is no lung, there are no sides.
  expect(Buffer.compare(native.sides ?? new Uint8Array(), twin.sides ?? new Uint8Array())).toBe(0)
  expect({ ...native, mask: 0, sides: 0 }).toEqual({ ...twin, mask: 0, sides: 0 })
}

const withAddon = it.skipIf(!addonStatus().available)

describe('segmentLungs on phantoms', () => {
  withAddon.each([
    { seed: 1, matrix: 128, spacing: 5 },
    { seed: 6, matrix: 96, spacing: 2.5 },
    { seed: 8, matrix: 97, spacing: 10 },
  ])('finds the same with and without the addon: seed $seed, $matrix pixels', (options) => {
    const { volume } = makePatient(options)
    expectSameOnBoth(volume)
    // Without air around the patient, and without anything else.
    const [nz, ny, nx] = volume.shape
    const middle = Int16Array.from(
      { length: nz * ny * 50 },
      (_, n) => volume.data[Math.floor(n / 50) * nx + 20 + (n % 50)]!,
    )
    expectSameOnBoth({ ...volume, data: middle, shape: [nz, ny, 50] })
    expectSameOnBoth(blockVolume(40))
  })

  it.each([
    { seed: 1, matrix: 256, spacing: 5, contrast: true },
    { seed: 2, matrix: 192, spacing: 6, contrast: false },
    { seed: 3, matrix: 96, spacing: 2.5, contrast: true },
  ])('finds the lungs that were drawn: seed $seed, $matrix pixels, $spacing mm', (options) => {
    const patient = makePatient(options)
    const lungs = segmentLungs(patient.volume, { sides: true })
    expect(lungs.warnings).toEqual([])
    expect(dice(lungs.mask, patient.lungs)).toBeGreaterThan(0.98)
    expect(lungs.volumeMl.total / patient.truth.lungsMl).toBeGreaterThan(0.97)
    expect(lungs.volumeMl.total / patient.truth.lungsMl).toBeLessThan(1.03)
    // The right lung is on the left of the image.
    const [, , nx] = patient.volume.shape
    const sums = [0, 0]
    const counts = [0, 0]
    let differ = 0
    for (let n = 0; n < lungs.mask.length; n++) {
      if (lungs.sides![n]! > 0 !== (lungs.mask[n] === 1)) differ++
      if (lungs.mask[n] === 0) continue
      sums[lungs.sides![n]! - 1]! += n % nx
      counts[lungs.sides![n]! - 1]!++
    }
    expect(sums[0]! / counts[0]!).toBeLessThan(nx / 2)
    expect(sums[1]! / counts[1]!).toBeGreaterThan(nx / 2)
    expect(differ).toBe(0)
    // Nodules stay in, those at the pleura too; the trachea stays out.
    for (const nodule of patient.truth.nodules) {
      const [k, j, i] = nodule.centerVoxel.map(Math.round) as [number, number, number]
      expect(lungs.mask[(k * patient.volume.shape[1] + j) * nx + i], nodule.id).toBe(1)
    }
    const { z, y, x } = lungs.box
    for (const [low, high] of [z, y, x]) expect(high).toBeGreaterThan(low)
  })

  it('mirrors with the image: the patient decides which lung is the right one', () => {
    const { volume } = makePatient({ seed: 4, matrix: 96, spacing: 6 })
    const straight = segmentLungs(volume)
    const mirrored = segmentLungs({
      ...volume,
      data: mirrorRows(volume),
      geometry: { ...volume.geometry, rowDirection: [-1, 0, 0] },
    })
    expect(mirrored.volumeMl.right / straight.volumeMl.right).toBeCloseTo(1, 1)
    expect(mirrored.volumeMl.left / straight.volumeMl.left).toBeCloseTo(1, 1)
  })

  it('measures them where slices are missing and with a tilted gantry', () => {
    const { volume } = makePatient({ seed: 4, matrix: 96, spacing: 6 })
    const whole = segmentLungs(volume).volumeMl
    // Every second slice of the middle is missing.
    const [nz, ny, nx] = volume.shape
    const kept = Array.from({ length: nz }, (_, k) => k).filter(
      (k) => k % 2 === 0 || k < nz * 0.35 || k > nz * 0.65,
    )
    const data = new Int16Array(kept.length * ny * nx)
    for (const [n, k] of kept.entries())
      data.set(volume.data.subarray(k * ny * nx, (k + 1) * ny * nx), n * ny * nx)
    const slicePositions = kept.map((k) => volume.geometry.slicePositions[k]!)
    const shape = [kept.length, ny, nx] as const
    const thinned = segmentLungs({ ...volume, data, shape, geometry: { ...volume.geometry, slicePositions } })
    expect(thinned.sides).toBeUndefined()
    for (const lung of ['left', 'right', 'total'] as const)
      expect(Math.abs(thinned.volumeMl[lung] / whole[lung] - 1)).toBeLessThan(0.04)
    const columnDirection = [0, Math.cos(0.4), -Math.sin(0.4)] as const
    const tilted = segmentLungs({ ...volume, geometry: { ...volume.geometry, columnDirection } })
    expect(tilted.volumeMl.total).toBeCloseTo(whole.total * Math.cos(0.4), 6)
  })

  it('finds lungs that the edge of the image cuts off', () => {
    const { volume, lungs } = makePatient({ seed: 4, matrix: 96, spacing: 6 })
    // A narrow reconstruction: the outer part of both lungs is missing.
    const [nz, ny, nx] = volume.shape
    const [low, high] = [26, 70]
    const data = new Int16Array(nz * ny * (high - low))
    const truth = new Uint8Array(data.length)
    for (let row = 0; row < nz * ny; row++) {
      data.set(volume.data.subarray(row * nx + low, row * nx + high), row * (high - low))
      truth.set(lungs.subarray(row * nx + low, row * nx + high), row * (high - low))
    }
    const cut = segmentLungs({ ...volume, data, shape: [nz, ny, high - low] })
    expect(cut.warnings).toContain('the lungs reach the edge of the image')
    expect(dice(cut.mask, truth)).toBeGreaterThan(0.97)
  })

  it.each([
    { lung: 'right', columns: [0, 66] },
    { lung: 'right', columns: [0, 74] },
    { lung: 'left', columns: [62, 128] },
    { lung: 'left', columns: [66, 118] },
  ] as const)('names a single lung by the patient where the image cuts the body: $lung, $columns', (c) => {
    const { volume } = makePatient({ matrix: 128, spacing: 5, seed: 3, nodules: 2 })
    const cut = segmentLungs(cutColumns(volume, c.columns[0]!, c.columns[1]!))
    expect(cut.volumeMl[c.lung]).toBeGreaterThan(1000)
    expect(cut.volumeMl[c.lung]).toBe(cut.volumeMl.total)
    expect(cut.warnings).toContain('the image cuts the body off: the side of the lung is uncertain')
  })

  it.each(['right', 'left'] as const)('names a single lung by the body around it: %s', (lung) => {
    const { volume } = makePatient({ matrix: 128, spacing: 5, seed: 3 })
    const { sides } = segmentLungs(volume, { sides: true })
    // The other lung is dense, and the body lies at one side of the image and far from x = 0.
    const dense = lung === 'right' ? 2 : 1
    const data = volume.data.map((value, n) => (sides![n] === dense ? 30 : value))
    const [low, high] = lung === 'right' ? [-100, 128] : [0, 228]
    const single = cutColumns({ ...volume, data }, low, high)
    const far = lung === 'right' ? 500 : -500
    const [x, y, z] = single.geometry.origin
    const moved = { ...single, geometry: { ...single.geometry, origin: [x + far, y, z] as Vector3 } }
    for (const of of [
      moved,
      {
        ...moved,
        data: mirrorRows(moved),
        geometry: { ...moved.geometry, rowDirection: [-1, 0, 0] as Vector3 },
      },
    ]) {
      const found = segmentLungs(of)
      expect(found.warnings).toEqual(['only one lung found'])
      expect(found.volumeMl[lung]).toBeGreaterThan(1000)
      expect(found.volumeMl[lung]).toBe(found.volumeMl.total)
    }
  })

  it('falls back to the body with a warning where there is no lung', () => {
    const volume = blockVolume(40)
    const lungs = segmentLungs(volume)
    expect(lungs.warnings.join()).toContain('no lung found')
    expect(lungs.volumeMl.total).toBe(0)
    expect(lungs.box.z).toEqual([0, 8])
    expect(lungs.box.x[0]).toBeLessThanOrEqual(8)
    expect(lungs.box.x[1]).toBeGreaterThanOrEqual(24)
    expect(lungs.mask.includes(1)).toBe(true)
    // Nothing but air: the whole image.
    expect(segmentLungs(blockVolume(-1000)).box).toEqual({ z: [0, 8], y: [0, 32], x: [0, 32] })
  })
})

function mirrorRows({ data, shape }: HuVolume): Int16Array {
  const out = data.slice()
  for (let row = 0; row < shape[0] * shape[1]; row++)
    out.subarray(row * shape[2], (row + 1) * shape[2]).reverse()
  return out
}

/** The columns from `low` to `high`, exclusive; air beyond the image. */
function cutColumns(volume: HuVolume, low: number, high: number): HuVolume {
  const [nz, ny, nx] = volume.shape
  const width = high - low
  const data = new Int16Array(nz * ny * width).fill(-1000)
  for (let row = 0; row < nz * ny; row++)
    data.set(
      volume.data.subarray(row * nx + Math.max(0, low), row * nx + Math.min(nx, high)),
      row * width + Math.max(0, -low),
    )
  const { origin, spacing } = volume.geometry
  const shifted: Vector3 = [origin[0] + low * spacing[2], origin[1], origin[2]]
  return { ...volume, data, shape: [nz, ny, width], geometry: { ...volume.geometry, origin: shifted } }
}

/** A block of one tissue in air. */
function blockVolume(hu: number): HuVolume {
  const data = new Int16Array(8 * 32 * 32).fill(-1000)
  for (let k = 0; k < 8; k++)
    for (let j = 8; j < 24; j++) data.fill(hu, (k * 32 + j) * 32 + 8, (k * 32 + j) * 32 + 24)
  return {
    data,
    shape: [8, 32, 32],
    geometry: {
      origin: [0, 0, 0],
      rowDirection: [1, 0, 0],
      columnDirection: [0, 1, 0],
      sliceDirection: [0, 0, 1],
      spacing: [5, 8, 8],
      slicePositions: Array.from({ length: 8 }, (_, k) => 5 * k),
    },
    sopInstanceUids: Array.from({ length: 8 }, (_, k) => `1.${k}`),
    seriesInstanceUid: '1',
    patientId: 'BLOCK',
  }
}

// Volumes that were looked at as montages: the test keeps them from drifting.
describe.each([
  { name: 'lidc-idri-0001', patient: 'LIDC-IDRI-0001', ml: 3750 },
  { name: 'lidc-idri-0003', patient: 'LIDC-IDRI-0003', ml: 5930 },
  // Centers of the lesions: means of the nine segmentations that come with each scan (pydicom).
  { name: 'qin-lung-ct', patient: 'QIN-LSC-0014', ml: 4500, lesion: [-21.01, -137.18, 237.19] as Vector3 },
  { name: 'qin-lung-ct', patient: 'QIN-LSC-0028', ml: 6060, lesion: [96.57, -172.47, 306.1] as Vector3 },
  { name: 'ct-64', patient: '123456', ml: 4670 },
])('segmentLungs on $patient', ({ name, patient, ml, lesion }) => {
  const folder = realData(name)
  it.skipIf(folder === undefined)('finds both lungs and cuts no marked nodule away', async () => {
    const { series } = await findSeries([folder!])
    const scan = series.find((s) => s.patientId === patient && s.modality === 'CT' && s.isVolume)!
    const volume = await loadVolume(scan)
    const lungs = segmentLungs(volume)
    if (addonStatus().available) expectSameOnBoth(volume)
    const spacing = volume.geometry.spacing
    const voxels = lungs.mask.reduce((sum, value) => sum + value, 0)
    expect(lungs.volumeMl.total).toBeCloseTo((voxels * spacing[0] * spacing[1] * spacing[2]) / 1000, 6)
    expect(lungs.volumeMl.total).toBeGreaterThan(0.97 * ml)
    expect(lungs.volumeMl.total).toBeLessThan(1.03 * ml)
    expect(lungs.volumeMl.left).toBeGreaterThan(0.35 * ml)
    expect(lungs.volumeMl.right).toBeGreaterThan(0.35 * ml)
    const at = (voxel: readonly number[]): number => {
      const [k, j, i] = voxel.map(Math.round) as [number, number, number]
      return lungs.mask[(k * volume.shape[1] + j) * volume.shape[2] + i]!
    }
    if (lesion !== undefined) expect(at(patientToVoxel(volume.geometry, lesion))).toBe(1)
    const reading = await readAnnotationsFor(scan)
    if (reading === undefined) return
    const placed = placeOnSeries(reading, scan)
    for (const nodule of consensusNodules(placed, scan.geometry))
      expect(at(nodule.centroidVoxel), `nodule ${nodule.id}`).toBe(1)
  })
})
