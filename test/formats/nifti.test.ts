import fc from 'fast-check'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NoduleError } from '../../src/errors.js'
import { voxelToPatient, type VolumeGeometry } from '../../src/geometry/patient.js'
import { type Vector3 } from '../../src/geometry/vector.js'
import { encodeNifti, writeNifti } from '../../src/formats/index.js'

/** A rotation from a quaternion drawn at random. */
const rotations = fc
  .tuple(...Array.from({ length: 4 }, () => fc.double({ min: -1, max: 1, noNaN: true })))
  .filter((q) => Math.hypot(...q) > 0.1)
  .map((q) => {
    const length = Math.hypot(...q)
    const [a, b, c, d] = q.map((value) => value / length) as [number, number, number, number]
    return [
      [a * a + b * b - c * c - d * d, 2 * (b * c + a * d), 2 * (b * d - a * c)],
      [2 * (b * c - a * d), a * a - b * b + c * c - d * d, 2 * (c * d + a * b)],
      [2 * (b * d + a * c), 2 * (c * d - a * b), a * a - b * b - c * c + d * d],
    ] as unknown as readonly [Vector3, Vector3, Vector3]
  })

const geometries = fc
  .record({
    axes: rotations,
    flip: fc.boolean(),
    origin: fc.tuple(...Array.from({ length: 3 }, () => fc.double({ min: -500, max: 500, noNaN: true }))),
    spacing: fc.tuple(...Array.from({ length: 3 }, () => fc.double({ min: 0.3, max: 5, noNaN: true }))),
  })
  .map(({ axes, flip, origin, spacing }): VolumeGeometry => {
    const [u, v, w] = axes
    return {
      origin: origin as unknown as Vector3,
      rowDirection: u,
      columnDirection: v,
      sliceDirection: flip ? [-w[0], -w[1], -w[2]] : w,
      spacing: spacing as unknown as Vector3,
      slicePositions: [0, spacing[0]!],
    }
  })

describe('encodeNifti', () => {
  it('places every voxel where the geometry does, by sform and by qform', () => {
    fc.assert(
      fc.property(geometries, (geometry) => {
        const bytes = encodeNifti({ data: new Uint8Array(2 * 3 * 4), shape: [2, 3, 4], geometry })
        const view = new DataView(bytes.buffer)
        const float = (at: number): number => view.getFloat32(at, true)
        const [b, c, d] = [float(256), float(260), float(264)]
        const a = Math.sqrt(Math.max(0, 1 - b * b - c * c - d * d))
        // The formula of the standard (nifti1.h, method 2).
        const rotation = [
          [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
          [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
          [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
        const steps = [float(80), float(84), float(88) * float(76)]
        for (const [k, j, i] of [
          [0, 0, 0],
          [1, 0, 0],
          [0, 2, 0],
          [1, 2, 3],
        ] as const) {
          const [x, y, z] = voxelToPatient(geometry, k, j, i)
          for (const [row, expected] of [-x, -y, z].entries()) {
            const at = 280 + 16 * row
            const s = float(at) * i + float(at + 4) * j + float(at + 8) * k + float(at + 12)
            const q =
              rotation[row]![0]! * steps[0]! * i +
              rotation[row]![1]! * steps[1]! * j +
              rotation[row]![2]! * steps[2]! * k +
              float(268 + 4 * row)
            expect(s).toBeCloseTo(expected, 2)
            // The format leaves out a: near half turns its float32 neighbors give it to 5e-4 only, over 15 mm here.
            expect(Math.abs(q - expected)).toBeLessThan(0.02)
          }
        }
      }),
      { numRuns: 200 },
    )
  })

  it('writes sizes, types and voxels as nibabel reads them', () => {
    const geometry: VolumeGeometry = {
      origin: [1, 2, 3],
      rowDirection: [1, 0, 0],
      columnDirection: [0, 1, 0],
      sliceDirection: [0, 0, 1],
      spacing: [2.5, 0.7, 0.8],
      slicePositions: [0, 2.5],
    }
    const bytes = encodeNifti({
      data: Int16Array.from([1, -2, 3, -4, 5, 6, 7, 8, 9, 10, 11, 3071]),
      shape: [2, 2, 3],
      geometry,
      description: 'é'.repeat(100),
    })
    const view = new DataView(bytes.buffer)
    expect(view.getInt32(0, true)).toBe(348)
    expect([0, 1, 2, 3].map((n) => view.getInt16(40 + 2 * n, true))).toEqual([3, 3, 2, 2])
    expect(view.getInt16(70, true)).toBe(4)
    expect(view.getInt16(72, true)).toBe(16)
    expect([1, 2, 3].map((n) => view.getFloat32(76 + 4 * n, true))).toEqual(
      [0.8, 0.7, 2.5].map((value) => Math.fround(value)),
    )
    expect(view.getFloat32(108, true)).toBe(352)
    expect(new TextDecoder().decode(bytes.subarray(148, 148 + 80))).toBe(`${'?'.repeat(79)}\0`)
    expect(new TextDecoder().decode(bytes.subarray(344, 348))).toBe('n+1\0')
    expect(view.getInt16(352 + 2, true)).toBe(-2)
    expect(view.getInt16(352 + 22, true)).toBe(3071)
    expect(bytes.length).toBe(352 + 24)
    expect(() => encodeNifti({ data: new Uint8Array(5), shape: [2, 2, 3], geometry })).toThrow(NoduleError)
    // Its bytes would be taken for those of a mask.
    const floats = new Float32Array(12) as unknown as Uint8Array
    expect(() => encodeNifti({ data: floats, shape: [2, 2, 3], geometry })).toThrow('for data')
    const nowhere = { ...geometry, spacing: [Number.NaN, 1, 1] as const }
    expect(() => encodeNifti({ data: new Uint8Array(12), shape: [2, 2, 3], geometry: nowhere })).toThrow(
      'mm above 0 for geometry.spacing[0]',
    )
  })

  it('leaves the qform out where the slices are tilted', () => {
    const slant = Math.SQRT1_2
    const bytes = encodeNifti({
      data: new Uint8Array(8),
      shape: [2, 2, 2],
      geometry: {
        origin: [0, 0, 0],
        rowDirection: [1, 0, 0],
        columnDirection: [0, 1, 0],
        sliceDirection: [0, slant, slant],
        spacing: [1, 1, 1],
        slicePositions: [0, 1],
      },
    })
    const view = new DataView(bytes.buffer)
    expect(view.getInt16(252, true)).toBe(0)
    expect(view.getInt16(254, true)).toBe(1)
  })
})

describe('writeNifti', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nodule-nifti-'))
  })
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  it('compresses where the name says so', async () => {
    const image = {
      data: new Uint8Array(8).fill(1),
      shape: [2, 2, 2] as const,
      geometry: {
        origin: [0, 0, 0],
        rowDirection: [1, 0, 0],
        columnDirection: [0, 1, 0],
        sliceDirection: [0, 0, 1],
        spacing: [1, 1, 1],
        slicePositions: [0, 1],
      } satisfies VolumeGeometry,
    }
    await writeNifti(join(folder, 'a.nii'), image)
    await writeNifti(join(folder, 'a.nii.gz'), image)
    const plain = await readFile(join(folder, 'a.nii'))
    expect(gunzipSync(await readFile(join(folder, 'a.nii.gz')))).toEqual(plain)
    expect(new Uint8Array(plain)).toEqual(encodeNifti(image))
  })
})
