import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { prepareDataset, readList } from '../../src/dataset/index.js'
import { cutDonor } from '../../src/dataset/insertion/donor.js'
import type { Donor } from '../../src/dataset/insertion/donor.js'
import { insertNodules } from '../../src/dataset/insertion/insert.js'
import { measureTissue, noisePlane } from '../../src/dataset/insertion/noise.js'
import { turnDirection, turnDonor } from '../../src/dataset/insertion/patch.js'
import type { NoduleStack } from '../../src/dataset/stacks/read_stack.js'
import { createRandom } from '../../src/random.js'
import { convertSeries } from '../../src/scans/convert.js'
import type { HuVolume } from '../../src/volume/index.js'
import { writeScan } from './scan_files.js'
import { OFFSET, SCALE, makeStack, writeStacks } from './stack_files.js'
import type { SmallStack } from './stack_files.js'

function stackOf(small: SmallStack): NoduleStack {
  const { gray, readers } = makeStack(small)
  const slices = gray.length / 16384
  const spacing = [2.5, small.pixelSpacing ?? 0.7, small.pixelSpacing ?? 0.7] as const
  return {
    entry: {
      ...{ patientId: small.patient, nodule: 'nodule-0', seriesInstanceUid: '1.2', sopOfAnchor: '' },
      ...{ zOfAnchor: 0, x0: 0, y0: 0, pixelSpacing: spacing[1], sliceSpacing: 2.5, line: 2 },
      slices: Array.from({ length: slices }, (_, steps) => ({ steps, scale: SCALE, offset: OFFSET })),
    },
    volume: {
      data: Int16Array.from(gray, (value) => value * SCALE + OFFSET),
      shape: [slices, 128, 128],
      geometry: geometryOf(spacing, slices),
      sopInstanceUids: [],
      seriesInstanceUid: '1.2',
      patientId: small.patient,
    },
    readers,
  }
}

function geometryOf(spacing: readonly [number, number, number], slices: number): HuVolume['geometry'] {
  return {
    ...{ origin: [0, 0, 0], rowDirection: [1, 0, 0], columnDirection: [0, 1, 0], sliceDirection: [0, 0, 1] },
    spacing,
    slicePositions: Array.from({ length: slices }, (_, k) => k * spacing[0]),
  }
}

/** Lung tissue with noise in a box of soft tissue. */
function makeHost(noise = 0): {
  volume: HuVolume
  lungs: { mask: Uint8Array; box: { z: [number, number]; y: [number, number]; x: [number, number] } }
} {
  const shape = [20, 100, 110] as const
  const random = createRandom(5)
  const box = { z: [2, 18], y: [10, 90], x: [10, 100] } as ReturnType<typeof makeHost>['lungs']['box']
  const data = new Int16Array(shape[0] * shape[1] * shape[2]).fill(40)
  const mask = new Uint8Array(data.length)
  for (let k = box.z[0]; k < box.z[1]; k++)
    for (let j = box.y[0]; j < box.y[1]; j++)
      for (let i = box.x[0]; i < box.x[1]; i++) {
        const at = (k * shape[1] + j) * shape[2] + i
        data[at] = Math.round(-860 + noise * random.normal())
        mask[at] = 1
      }
  const volume = {
    ...{ data, shape, geometry: geometryOf([2, 0.8, 0.8], shape[0]) },
    ...{ sopInstanceUids: [], seriesInstanceUid: '1.3', patientId: 'H' },
  }
  return { volume, lungs: { mask, box } }
}

const maskVolume = (donor: Donor): number =>
  donor.mask.reduce((a, b) => a + b, 0) * donor.spacing[0] * donor.spacing[1] * donor.spacing[2]

/** As toEqual, which takes seconds for a volume. */
function isSame(a: Int16Array, b: Int16Array): boolean {
  return a.length === b.length && a.every((value, at) => value === b[at])
}

describe('turnDonor', () => {
  const donor = cutDonor(stackOf({ patient: 'P1', slices: 7, radius: 9 }), 3)
  const spacing = [1.25, 0.6, 0.6] as const
  const random = createRandom(3)

  it.each(Array.from({ length: 8 }, (_, n) => n))('keeps the volume, turned and mirrored (%i)', (n) => {
    const turn = {
      angle: random.uniform() * 7,
      ...{ mirrorX: (n & 1) > 0, mirrorY: (n & 2) > 0, mirrorZ: (n & 4) > 0 },
    }
    const patch = turnDonor(donor, spacing, turn)
    const volume = patch.mask.reduce((a, b) => a + b, 0) * spacing[0] * spacing[1] * spacing[2]
    expect(volume / maskVolume(donor)).toBeGreaterThan(0.9)
    expect(volume / maskVolume(donor)).toBeLessThan(1.1)
    // The consensus is taken whole, and everything about it fades out.
    expect(patch.mask.filter((inside, at) => inside === 1 && patch.alpha[at]! < 0.5)).toHaveLength(0)
    expect(patch.alpha.at(0)).toBe(0)
  })

  it('averages over slices that are thicker than the donor’s', () => {
    const patch = turnDonor(donor, [7.5, 0.7, 0.7], {
      angle: 0,
      ...{ mirrorX: false, mirrorY: false, mirrorZ: false },
    })
    const [slices, rows, columns] = patch.shape
    const middle = (((slices - 1) / 2) * rows + (rows - 1) / 2) * columns + (columns - 1) / 2
    expect(patch.hu[middle]).toBeCloseTo(40, 3)
    const volume = patch.mask.reduce((a, b) => a + b, 0) * 7.5 * 0.49
    expect(volume / maskVolume(donor)).toBeGreaterThan(0.7)
    expect(volume / maskVolume(donor)).toBeLessThan(1.3)
  })

  it('turns directions as it turns the nodule', () => {
    const turn = { angle: Math.PI / 2, mirrorX: true, mirrorY: false, mirrorZ: false }
    const [x, y] = turnDirection([1, 0], turn)
    expect(x).toBeCloseTo(0, 9)
    expect(y).toBeCloseTo(-1, 9)
  })
})

describe('cutDonor', () => {
  it('knows where soft tissue touches', () => {
    expect(cutDonor(stackOf({ patient: 'P1' }), 3).wall).toBeUndefined()
    const [x, y] = cutDonor(stackOf({ patient: 'P1', wallAt: 67 }), 3).wall!
    expect(x).toBeGreaterThan(0.9)
    expect(Math.abs(y)).toBeLessThan(0.3)
  })

  it.each([
    [{ patient: 'P1', slices: 1 }, 'P1 nodule-0: a nodule that cannot be put elsewhere: expected 2 slices'],
    [{ patient: 'P1', readers: 2 }, 'expected 3 readers or more but received 2'],
    [{ patient: 'P1', radius: 60 }, 'expected 4 pixels around the nodule but received a nodule at the edge'],
    [{ patient: 'P1', wallAt: 0 }, 'expected a nodule in the lung but received one enclosed by soft tissue'],
  ])('refuses %j', (small, message) => {
    expect(() => cutDonor(stackOf(small), 3)).toThrow(
      expect.objectContaining({
        ...{ name: 'NoduleError', code: 'UNSUPPORTED' },
        message: expect.stringContaining(message) as string,
      }),
    )
  })
})

describe('insertNodules', () => {
  const stacks = ['P1', 'P2', 'P3', 'P4'].map((patient, n) => stackOf({ patient, radius: 4 + n / 2 }))
  const { volume, lungs } = makeHost()

  it('changes nothing but the nodules, each in its box, apart from each other and from what was there', () => {
    const before = volume.data.slice()
    const occupied = [{ center: [9, 50, 40] as const, diameterMm: 10 }]
    const { volume: made, placed } = insertNodules(
      volume,
      lungs,
      stacks,
      { count: 4, occupied, vesselShare: 0 },
      createRandom(1),
    )
    expect(isSame(volume.data, before)).toBe(true)
    expect(placed.map((nodule) => nodule.donorPatientId)).toEqual(['P1', 'P2', 'P3', 'P4'])
    const [, rows, columns] = volume.shape
    const changed = new Set<number>()
    made.data.forEach((hu, at) => {
      if (hu !== before[at]) changed.add(at)
    })
    for (const [n, { center, boxes, axialDiameterMm }] of placed.entries()) {
      expect(made.data[(center[0] * rows + center[1]) * columns + center[2]]).toBeGreaterThan(-50)
      const others = [...occupied, ...placed.slice(0, n)]
      for (const other of others) {
        const mm = [2, 0.8, 0.8].map((size, axis) => (center[axis]! - other.center[axis]!) * size)
        const size = 'diameterMm' in other ? other.diameterMm : other.axialDiameterMm
        expect(Math.hypot(...mm)).toBeGreaterThanOrEqual(axialDiameterMm + size + 5)
      }
      const widest = Math.max(...boxes.map(({ box }) => (box.x2 - box.x1) * 0.8))
      expect(Math.abs(widest - axialDiameterMm)).toBeLessThan(1.7)
      // What changes lies within three pixels of donor or host and a donor's slice around the boxes.
      const [low, high] = [boxes[0]!.k - 2, boxes.at(-1)!.k + 2]
      for (const at of changed) {
        const k = Math.floor(at / (rows * columns))
        const [y, x] = [Math.floor(at / columns) % rows, at % columns]
        const near = boxes.some(
          ({ box }) => x >= box.x1 - 4 && x < box.x2 + 4 && y >= box.y1 - 4 && y < box.y2 + 4,
        )
        if (k >= low && k <= high && near) changed.delete(at)
      }
    }
    expect(changed.size).toBe(0)
  })

  it('gives the same from the same seed, and another place from another', () => {
    const run = (seed: number) => insertNodules(volume, lungs, stacks, { count: 3 }, createRandom(seed))
    const [a, b] = [run(2), run(2)]
    expect(isSame(a.volume.data, b.volume.data)).toBe(true)
    expect(a.placed).toEqual(b.placed)
    expect(a.placed).not.toEqual(run(3).placed)
  })

  it('puts nodules of the wall at the wall, soft side out', () => {
    const wall = ['W1', 'W2', 'W3'].map((patient) => stackOf({ patient, wallAt: 66 }))
    const { placed } = insertNodules(volume, lungs, wall, { count: 3 }, createRandom(4))
    expect(placed.length).toBeGreaterThan(0)
    for (const { at, boxes } of placed) {
      expect(at).toBe('wall')
      const { x, y } = lungs.box
      const touches = boxes.some(
        ({ box }) => box.x1 <= x[0] + 1 || box.x2 >= x[1] - 1 || box.y1 <= y[0] + 1 || box.y2 >= y[1] - 1,
      )
      expect(touches).toBe(true)
    }
  })

  it('leaves out donors that are far noisier than the scan', () => {
    const noisy = stackOf({ patient: 'P8' })
    const random = createRandom(9)
    noisy.volume.data.forEach((hu, at, data) => (data[at] = hu + Math.round(50 * random.normal())))
    const run = (noise: number) => {
      const host = makeHost(noise)
      return insertNodules(host.volume, host.lungs, [noisy], { count: 1 }, createRandom(1))
    }
    expect(run(0).placed).toEqual([])
    expect(run(0).warnings[0]).toMatch(/^P8 nodule-0: \d+ HU of noise, too much beside 0 HU$/)
    expect(run(45).placed).toHaveLength(1)
  })

  it('says where no place is found, and which donors are of no use', () => {
    const whole = [{ center: [9, 50, 55] as const, diameterMm: 400 }]
    const {
      volume: same,
      placed,
      warnings,
    } = insertNodules(
      volume,
      lungs,
      [stackOf({ patient: 'P9', slices: 1 }), stacks[0]!],
      { count: 1, occupied: whole, tries: 20 },
      createRandom(1),
    )
    expect(placed).toEqual([])
    expect(isSame(same.data, volume.data)).toBe(true)
    expect(warnings).toEqual([
      expect.stringContaining('P9 nodule-0: a nodule that cannot be put elsewhere') as string,
      'P1 nodule-0: no place for 6.3 mm in 20 tries',
      '0 of 1 nodules were put in',
    ])
    expect(() => insertNodules(volume, lungs, stacks, { count: -1 }, createRandom(1))).toThrow(
      'Expected integer between 0 and 1000 for count but received -1',
    )
  })
})

describe('noise', () => {
  it('is as strong as it is measured', () => {
    const plane = noisePlane(100, 100, createRandom(1)).map((value) => -860 + 25 * value)
    const voxels = Array.from({ length: 9000 }, (_, n) => n + 500).filter((n) => n % 100 > 0 && n % 100 < 99)
    const tissue = measureTissue(plane, voxels)!
    expect(tissue.noise).toBeGreaterThan(22)
    expect(tissue.noise).toBeLessThan(28)
    expect(tissue.level).toBeGreaterThan(-863)
    expect(tissue.level).toBeLessThan(-857)
    expect(measureTissue(new Float32Array(100), voxels.slice(0, 20))).toBeUndefined()
  })
})

describe('prepareDataset with insertion', () => {
  let root: string
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'nodule-insertion-'))
  })
  afterAll(() => rmSync(root, { recursive: true }))

  it('makes copies of each scan with donors of its part', async () => {
    const [scans, stacks, output] = ['scans', 'stacks', 'output'].map((name) => join(root, name)) as [
      string,
      string,
      string,
    ]
    writeScan(join(scans, 'a'), { patientId: 'A', seriesUid: '1.3.1' })
    writeScan(join(scans, 'b'), { patientId: 'B', seriesUid: '1.3.2' })
    await writeStacks(
      stacks,
      ['P1', 'P2', 'P3', 'P4'].map((patient) => ({ patient, radius: 12 })),
    )
    const parts = new Map([
      ...(['A', 'P1', 'P2'] as const).map((id) => [id, 'train'] as const),
      ...(['B', 'P3', 'P4'] as const).map((id) => [id, 'test'] as const),
    ])
    const run = async () =>
      prepareDataset({
        ...{ inputs: [scans], output, jobs: 1, hypes: parseHypes({ data: { mm_per_pixel: 2 } }) },
        insertion: { stacks, count: 1, variants: 2 },
        split: { kind: 'given', path: 'split.csv', parts },
      })
    const { manifest } = await run()
    expect(manifest.failed).toEqual([])
    for (const [part, host, donors] of [
      ['train', 'A', ['P1', 'P2']],
      ['test', 'B', ['P3', 'P4']],
    ] as const) {
      const { entries } = readList(join(output, `${part}.json`))
      const boxes = entries.flatMap(({ rects, nodule }) => rects.map((rect, n) => ({ rect, n, nodule })))
      expect(boxes.length).toBeGreaterThan(0)
      for (const { n, nodule } of boxes) {
        expect(nodule).toMatchObject({ patientId: host, origin: 'insertion' })
        expect(donors).toContain(nodule!.measures![n]!.donorPatientId)
      }
      expect(new Set(boxes.map(({ nodule }) => nodule!.variant))).toEqual(new Set([0, 1]))
      expect(entries.some((entry) => entry.rects.length === 0)).toBe(true)
    }
    expect(await run()).toMatchObject({ made: 0, unchanged: 4 })
  })

  it('knows the patient of a volume file by its stacks, and gives no scan its own nodules', async () => {
    const [folder, stacks, output] = ['volumes', 'own', 'from-volumes'].map((name) => join(root, name)) as [
      string,
      string,
      string,
    ]
    mkdirSync(folder)
    for (const [uid, patient] of [
      ['1.2.5', 'P5'],
      ['1.2.6', 'P6'],
    ] as const) {
      writeScan(join(root, 'dicom', patient), { patientId: patient, seriesUid: uid })
      await convertSeries([join(root, 'dicom', patient)], join(folder, `${uid}.mhd`))
    }
    await writeStacks(
      stacks,
      ['P5', 'P6', 'P7'].map((patient) => ({ patient, radius: 12 })),
    )
    const parts = new Map(['P5', 'P6', 'P7'].map((id) => [id, id === 'P6' ? 'test' : 'train'] as const))
    const { manifest } = await prepareDataset({
      ...{
        inputs: [folder],
        output,
        jobs: 1,
        hypes: parseHypes({ data: { mm_per_pixel: 2 } }),
        unread: true,
      },
      insertion: { stacks, count: 1, variants: 1 },
      split: { kind: 'given', path: 'split.csv', parts },
    })
    // The one patient of the test part has no donor but himself.
    expect(manifest.failed).toMatchObject([{ seriesInstanceUid: '1.2.6' }])
    const { entries } = readList(join(output, 'train.json'))
    const donors = entries.flatMap(({ nodule }) =>
      nodule!.measures!.map((measures) => measures.donorPatientId),
    )
    expect(new Set(donors)).toEqual(new Set(['P7']))
    expect(new Set(entries.map(({ nodule }) => nodule!.patientId))).toEqual(new Set(['P5']))
  })
})
