import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { writeMetaImage } from '../../src/formats/meta_image.js'

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof fs>()
  return { ...real, rename: vi.fn(real.rename), writeFile: vi.fn(real.writeFile) }
})

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-meta-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const image = {
  data: Int16Array.from({ length: 24 }, (_, n) => 100 * n - 1000),
  shape: [2, 3, 4] as const,
  geometry: {
    origin: [1, 2, 3] as [number, number, number],
    rowDirection: [1, 0, 0] as [number, number, number],
    columnDirection: [0, 1, 0] as [number, number, number],
    sliceDirection: [0, 0, 1] as [number, number, number],
    spacing: [2, 0.5, 0.5] as [number, number, number],
    slicePositions: [0, 2],
  },
}

it.each(['a.mha', 'a.mhd'])('a compressed %s says how long its voxels are, as ITK needs it', async (name) => {
  const paths = await writeMetaImage(join(folder, name), image, true)
  const bytes = readFileSync(paths[0]!)
  const head = bytes.toString('latin1')
  const size = Number(/^CompressedData = True\nCompressedDataSize = (\d+)$/m.exec(head)?.[1])
  const voxels = paths.length > 1 ? readFileSync(paths[1]!) : bytes.subarray(bytes.length - size)
  expect(voxels).toHaveLength(size)
  if (paths.length === 1)
    expect(bytes.toString('latin1', 0, bytes.length - size)).toMatch(/\nElementDataFile = LOCAL\n$/)
  expect(new Uint8Array(inflateSync(voxels))).toEqual(new Uint8Array(image.data.buffer))
})

it('one that is not compressed names no such length', async () => {
  const [path] = await writeMetaImage(join(folder, 'a.mha'), image)
  expect(readFileSync(path!, 'latin1')).not.toContain('CompressedDataSize')
})

it('what would make a file that says one thing and holds another is refused', async () => {
  const refuse = async (name: string, over: object, parameter: string): Promise<void> => {
    await expect(writeMetaImage(join(folder, name), { ...image, ...over })).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      parameters: [parameter],
    })
    expect(readdirSync(folder)).toEqual([])
  }
  await refuse('a.mha', { data: new Int16Array(23) }, 'data')
  await refuse('a.mha', { data: new Uint8Array(24) }, 'data')
  await refuse('a.mhd', { shape: [0, 3, 4] }, 'shape[0]')
  await refuse(
    'a.mhd',
    { geometry: { ...image.geometry, spacing: [Number.NaN, 1, 1] } },
    'geometry.spacing[0]',
  )
  await refuse('a.mhd', { geometry: { ...image.geometry, origin: [0, Infinity, 0] } }, 'geometry.origin')
  await refuse('a.nrrd', {}, 'path')
})

it('a header never stands beside voxels that are not its own, whenever the work is stopped', async () => {
  const [header, voxels] = [join(folder, 'a.mhd'), join(folder, 'a.raw')]
  const flat = { ...image, data: image.data.slice(0, 12), shape: [1, 3, 4] as const }
  const one = { ...flat, geometry: { ...image.geometry, slicePositions: [0] } }
  await writeMetaImage(header, image)
  const before = [header, voxels].map((path) => readFileSync(path, 'latin1'))

  // No room for the header: all is as it was.
  const real = vi.mocked(fs.writeFile).getMockImplementation()!
  const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
  vi.mocked(fs.writeFile).mockImplementationOnce(real).mockRejectedValueOnce(full)
  await expect(writeMetaImage(header, one)).rejects.toThrow(/a\.mhd: cannot write: no space left/)
  expect([header, voxels].map((path) => readFileSync(path, 'latin1'))).toEqual(before)
  expect(readdirSync(folder)).toHaveLength(2)

  // What a kill before or after each renaming would leave.
  const seen: (number | undefined)[] = []
  const look = (): void => {
    const isThere = existsSync(header)
    const slices = isThere ? Number(/DimSize = 4 3 (\d)/.exec(readFileSync(header, 'latin1'))![1]) : undefined
    if (isThere) expect(readFileSync(voxels)).toHaveLength(slices! * 24)
    seen.push(slices)
  }
  const rename = vi.mocked(fs.rename).getMockImplementation()!
  vi.mocked(fs.rename).mockImplementation(async (from, to) => {
    look()
    await rename(from, to)
    look()
  })
  await writeMetaImage(header, one)
  vi.mocked(fs.rename).mockImplementation(rename)
  expect(seen).toEqual([undefined, undefined, undefined, 1])
  expect(readdirSync(folder)).toEqual(['a.mhd', 'a.raw'])
})
