/** Inputs made to hang, to fill the memory or to read elsewhere: each ends at once in a NoduleError. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32, deflateSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readLidcXml } from '../src/annotations/index.js'
import { readHypes } from '../src/config/hypes.js'
import { readHuImage, readImage, readImageSize } from '../src/formats/index.js'
import { readList } from '../src/dataset/index.js'
import type { StackEntry } from '../src/dataset/stacks/read_index.js'
import { readStack, stackFiles } from '../src/dataset/stacks/read_stack.js'
import { csvCell } from '../src/clean.js'
import { findSeries, parseDicom, readDicom } from '../src/dicom/index.js'
import type { DicomFile } from '../src/dicom/index.js'
import { decodeText } from '../src/dicom/read/charset.js'
import { readElements } from '../src/dicom/read/elements.js'
import { decimal } from '../src/dicom/read/values.js'
import { NoduleError } from '../src/errors.js'
import { patientOf } from '../src/evaluation/slices/patients.js'
import { readText } from '../src/files.js'
import { frameLimit, memoryLimit, voxelLimit } from '../src/limits.js'
import { readRegular, readStart } from '../src/read_files.js'
import { parseAnnolist } from '../src/formats/annolist.js'
import { readSafeTensors } from '../src/formats/safetensors.js'
import { sliceFile } from './dicom/bytes.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-hostile-'))
  mkdirSync(join(folder, 'stacks'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const put = (name: string, bytes: Uint8Array | string): string => {
  writeFileSync(join(folder, name), bytes)
  return join(folder, name)
}

/** A stack of one slice, whose pictures lie in `folder`. */
const stack = (nodule: string): StackEntry => ({
  ...{ patientId: 'P1', nodule, seriesInstanceUid: '1.2', sopOfAnchor: '', zOfAnchor: 0, x0: 0, y0: 0 },
  ...{ pixelSpacing: 1, sliceSpacing: 1, slices: [{ steps: 0, scale: 1, offset: 0 }], line: 2 },
})

/** Milliseconds of processor time; the machine may be busy with other work. */
async function cost(work: () => unknown): Promise<number> {
  const start = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1000
}

describe.skipIf(process.platform === 'win32')('what is no file', () => {
  const readers: [string, (path: string) => unknown][] = [
    ['text', (path) => readText(path, 'read')],
    ['a list', (path) => readList(path)],
    ['hypes', (path) => readHypes(path)],
    ['bytes', (path) => readRegular(path)],
    ['a head', (path) => readStart(path, 10)],
    ['DICOM', (path) => readDicom(path)],
    ['an image', (path) => readImage(path)],
    ['the size of an image', (path) => readImageSize(path)],
    ['LIDC XML', (path) => readLidcXml(path)],
    ['a checkpoint', (path) => readSafeTensors(path)],
  ]

  it.each(readers)(
    '%s: a pipe, a device and a folder are refused before they are opened',
    async (_, read) => {
      const pipe = join(folder, `pipe-${Math.random()}`)
      execFileSync('mkfifo', [pipe])
      const link = `${pipe}-link`
      symlinkSync('/dev/zero', link)
      for (const [path, what] of [
        [pipe, 'a pipe or a device, not a file'],
        ['/dev/zero', 'a pipe or a device, not a file'],
        [link, 'a pipe or a device, not a file'],
        [folder, 'a folder'],
      ] as const)
        await expect((async () => read(path))(), path).rejects.toThrow(
          new RegExp(`^${path}: cannot .*: is ${what}$`),
        )
    },
  )

  it('a header that names a pipe, a device or another folder for its voxels', async () => {
    execFileSync('mkfifo', [join(folder, 'voxels.raw')])
    symlinkSync('/dev/zero', join(folder, 'zero.raw'))
    for (const [name, reason] of [
      ['voxels.raw', /voxels\.raw: cannot read: is a pipe/],
      ['zero.raw', /zero\.raw: cannot read: is a pipe or a device/],
      ['../../etc/passwd', /the voxels must lie beside their header/],
      ['/dev/zero', /the voxels must lie beside their header/],
      ['..', /the voxels must lie beside their header/],
      ['a\\b.raw', /the voxels must lie beside their header/],
    ] as const) {
      const { series, skipped } = await findSeries([put('a.mhd', mhd('3 2 2', name))])
      expect(series).toEqual([])
      expect(skipped[0]!.reason, name).toMatch(reason)
    }
  })

  it('a pipe in the place of a picture of a stack', async () => {
    const { slices } = stackFiles(folder, stack('pipe'))
    execFileSync('mkfifo', [slices])
    await expect(readStack(folder, stack('pipe'))).rejects.toThrow(`${slices}: cannot read stack: is a pipe`)
  })

  it('hypes whose base is a device', () => {
    expect(() => readHypes(put('h.json', '{"base": "/dev/zero"}'))).toThrow(
      /cannot read hypes: is a pipe or a device/,
    )
  })
})

const mhd = (size: string, data: string, compressed = false): string => `NDims = 3
CompressedData = ${compressed ? 'True' : 'False'}
DimSize = ${size}
ElementType = MET_SHORT
ElementDataFile = ${data}
`

describe('volume files that claim more than they hold', () => {
  it('150 headers of 65,535 slices', async () => {
    put('small.raw', new Uint8Array(100))
    put('small.zraw', deflateSync(new Uint8Array(100)))
    const paths = Array.from({ length: 150 }, (_, n) =>
      put(
        `v${n}.mhd`,
        mhd('1 1 65535', n % 3 === 0 ? 'none.raw' : n % 3 === 1 ? 'small.raw' : 'small.zraw', n % 3 === 2),
      ),
    )
    const ms = await cost(async () => {
      const { series, skipped } = await findSeries(paths)
      expect(series).toEqual([])
      expect(new Set(skipped.map(({ reason }) => reason.replace(/^.*\.z?raw: /, '').slice(0, 40)))).toEqual(
        new Set([
          'cannot read: no such file or folder',
          'too few voxels: expected 131070 bytes fr',
          'too many slices for a file of this size:',
        ]),
      )
    })
    expect(ms).toBeLessThan(2000)
  })

  it('a .nii.gz of zeros', async () => {
    const header = Buffer.alloc(352)
    header.writeInt32LE(348)
    for (const [n, value] of [3, 2000, 2000, 500].entries()) header.writeInt16LE(value, 40 + 2 * n)
    header.writeInt16LE(4, 70)
    for (const at of [80, 84, 88, 280, 300, 320]) header.writeFloatLE(1, at)
    header.writeFloatLE(352, 108)
    header.writeInt16LE(1, 254)
    header.write('n+1\0', 344, 'latin1')
    const { series, skipped } = await findSeries([
      put('zeros.nii.gz', gzipSync(Buffer.concat([header, Buffer.alloc(1e6)]))),
    ])
    expect(series).toEqual([])
    expect(skipped[0]!.reason).toMatch(
      /^volume too large for its file: expected at most \d+ bytes of voxels but received 4000000000$/,
    )
  })

  it.each([
    ['NaN', Number.NaN],
    ['-8', -8],
    ['infinite', Infinity],
    ['352.5', 352.5],
  ])('vox_offset %s', async (_, offset) => {
    const header = Buffer.alloc(352 + 24)
    header.writeInt32LE(348)
    for (const [n, value] of [3, 3, 2, 2].entries()) header.writeInt16LE(value, 40 + 2 * n)
    header.writeInt16LE(4, 70)
    for (const at of [280, 300, 320]) header.writeFloatLE(1, at)
    header.writeFloatLE(offset, 108)
    header.writeInt16LE(1, 254)
    header.write('n+1\0', 344, 'latin1')
    const { skipped } = await findSeries([put('offset.nii', header)])
    expect(skipped[0]!.reason).toMatch(
      /^vox_offset: wrong NIfTI header: expected an integer from 352 on but received/,
    )
  })
})

describe('images that claim more than they hold', () => {
  const chunk = (type: string, content: Uint8Array): Buffer => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), content])
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
    length.writeUInt32BE(content.length)
    sum.writeUInt32BE(crc32(body))
    return Buffer.concat([length, body, sum])
  }
  function png(side: number): Buffer {
    const head = Buffer.alloc(13)
    head.writeUInt32BE(side, 0)
    head.writeUInt32BE(side, 4)
    head.set([16, 2], 8)
    return Buffer.concat([
      Buffer.from('89504e470d0a1a0a', 'hex'),
      chunk('IHDR', head),
      chunk('IDAT', deflateSync(Buffer.alloc(1e6))),
      chunk('IEND', new Uint8Array()),
    ])
  }

  it('a picture of a stack of another size than its index says', async () => {
    const { slices } = stackFiles(folder, stack('bomb'))
    writeFileSync(slices, png(16384))
    await expect(readStack(folder, stack('bomb'))).rejects.toThrow(
      `${slices}: picture of another size than its rows in index.csv: expected 128 x 128 (1 slices) but received 16384 x 16384`,
    )
  })

  it('a PNG of 16384 x 16384 pixels of 16 bits', async () => {
    const path = put('bomb.png', png(16384))
    await expect(readImage(path)).rejects.toThrow(
      /bomb\.png: image too large for its file: expected at most \d+ bytes of pixels but received 16384 x 16384/,
    )
    await expect(readHuImage(path, { low: -1000, high: 400 })).rejects.toThrow(/image too large for its file/)
  })

  it('a BMP of one bit a pixel', async () => {
    const side = 16384
    const bmp = Buffer.alloc(62 + (side * side) / 8)
    bmp.write('BM')
    bmp.writeUInt32LE(62, 10)
    bmp.writeUInt32LE(40, 14)
    bmp.writeInt32LE(side, 18)
    bmp.writeInt32LE(side, 22)
    bmp.writeUInt16LE(1, 28)
    const path = put('bomb.bmp', bmp)
    const ms = await cost(() =>
      expect(readImage(path)).rejects.toThrow(/bomb\.bmp: image too large for its file/),
    )
    expect(ms).toBeLessThan(2000)
  })
})

describe('texts that take long', () => {
  it.each<[string, string]>([
    ['blanks', `[${' '.repeat(200_000)}NaN x`],
    ['brackets and blanks', `${'[ '.repeat(100_000)}NaN`],
    ['minus signs', `[${'-'.repeat(200_000)}`],
    ['quotes', `[${'"\\"'.repeat(100_000)}`],
  ])('a list of %s', async (_, content) => {
    const path = put('list.json', content)
    expect(
      await cost(() => expect(() => readList(path)).toThrow(/list\.json: (not JSON|JSON nested too deep)/)),
    ).toBeLessThan(1000)
  })

  it('NaN in a list is an error with its place, "NaN" in a text none', () => {
    const path = put(
      'list.json',
      '[{"image_path": "NaN: -Infinity", "rects": [{"x1": NaN, "y1": 0, "x2": 1, "y2": 1}]}]',
    )
    expect(() => readList(path)).toThrow(
      /list\.json: \/0\/rects\/0\/x1: .*expected finite number but received "NaN"/,
    )
  })

  it('long digits in a contour', async () => {
    const digits = '1'.repeat(200_000)
    const path = put(
      'digits.xml',
      `<LidcReadMessage><edgeMap>${digits} ${digits}</edgeMap><edgeMap>${digits}</LidcReadMessage>`,
    )
    expect(await cost(() => expect(readLidcXml(path)).rejects.toThrow(/digits\.xml/))).toBeLessThan(1000)
  })

  const digits = '1'.repeat(100_000)
  const blanks = ' '.repeat(100_000)
  const comment = (value: string): DicomFile =>
    parseDicom(sliceFile({ extra: [{ tag: '00104000', vr: 'UT', bytes: Buffer.from(value) }] }), 'a.dcm')
  it.each<[string, () => unknown, unknown]>([
    ['a number of DICOM', () => decimal(`${digits}x`), undefined],
    ['a cell', () => csvCell(`-${digits}x`), `'-${digits}x`],
    ['an .idl list', () => parseAnnolist(Buffer.from(`"a.png": (${digits}x`), 'idl', 'a.idl'), 'line 1'],
    [
      'blanks in an .idl list',
      () => parseAnnolist(Buffer.from(`"a"${blanks}x\u2028y`), 'idl', 'a.idl'),
      'line 1',
    ],
    [
      'a text of DICOM',
      () => JSON.stringify([...readElements(comment(`${blanks}xx`))]).includes(`${blanks}xx`),
      true,
    ],
    ['a character set', () => decodeText(Buffer.from('a'), [`${digits}x`]), 'a'],
    ['a path', () => patientOf({ image_path: 'a'.repeat(100_000), rects: [] }), undefined],
  ])('%s with much of the same in it', async (_, work, expected) => {
    const answer = (): unknown => {
      try {
        return work()
      } catch (error) {
        return error instanceof NoduleError ? error.place : error
      }
    }
    expect(await cost(() => expect(answer()).toEqual(expected))).toBeLessThan(1000)
  })

  it('a long key in hypes', async () => {
    const path = put('key.json', JSON.stringify({ ['k'.repeat(900_000)]: 1 }))
    expect(await cost(() => expect(() => readHypes(path)).toThrow(/unknown key/))).toBeLessThan(1000)
    expect(() => readHypes(put('big.json', ' '.repeat(2_000_000)))).toThrow(
      /big\.json: file too large: expected at most 1048576 bytes/,
    )
  })
})

it('the rule', () => {
  expect(memoryLimit(1000)).toBe(4000 + 64 * 2 ** 20)
  expect(voxelLimit(1000)).toBe(16_000 + 512 * 2 ** 20)
  expect(frameLimit(512_000)).toBe(4096 + 1000)
})
