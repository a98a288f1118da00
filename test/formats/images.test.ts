import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32, deflateSync } from 'node:zlib'
import fc from 'fast-check'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeBmp } from '../../src/formats/bmp.js'
import {
  encodeHuPng,
  encodePng,
  readHuImage,
  readImage,
  readImageSize,
  writePng,
} from '../../src/formats/index.js'
import { encodeFrame, readPlanes } from '../../src/formats/images.js'
import { NoduleError } from '../../src/errors.js'

interface Golden {
  width: number
  height: number
  cases: { mode: string; bmp: string; rgb: number[] }[]
}

const golden = JSON.parse(
  readFileSync(new URL('../fixtures/dataset/bitmaps.json', import.meta.url), 'utf8'),
) as Golden

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-images-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('decodeBmp', () => {
  it.each(golden.cases)('equals Pillow: mode $mode', async ({ mode, bmp, rgb }) => {
    const path = join(folder, `${mode}.bmp`)
    writeFileSync(path, Buffer.from(bmp, 'base64'))
    const image = await readImage(path)
    expect(image).toMatchObject({ width: golden.width, height: golden.height })
    expect([...image.data]).toEqual(rgb)
    expect(await readImageSize(path)).toEqual({ width: golden.width, height: golden.height })
  })

  it('stands damaged files: a NoduleError or an image, nothing else', () => {
    const files = golden.cases.map(({ bmp }) => Buffer.from(bmp, 'base64'))
    fc.assert(
      fc.property(
        fc.constantFrom(...files),
        fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 4 }),
        fc.nat(200),
        (file, changes, cut) => {
          const bytes = Uint8Array.from(file)
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
          try {
            const image = decodeBmp(bytes.subarray(0, bytes.length - Math.min(cut, bytes.length)), 'x.bmp')
            expect(image.data.length).toBe(image.width * image.height * 3)
          } catch (error) {
            expect(error).toBeInstanceOf(NoduleError)
          }
        },
      ),
      { numRuns: 2000 },
    )
  })
})

describe('readImage', () => {
  it('gives three equal channels for gray, 8 bits for 16, black below transparency', async () => {
    const gray = sharp(Uint8Array.of(0, 100, 200, 255), { raw: { width: 2, height: 2, channels: 1 } })
    await gray.clone().toColorspace('b-w').png().toFile(join(folder, 'gray.png'))
    const expected = [0, 0, 0, 100, 100, 100, 200, 200, 200, 255, 255, 255]
    expect([...(await readImage(join(folder, 'gray.png'))).data]).toEqual(expected)
    const deep = Uint16Array.of(0, 100 * 257, 200 * 257, 65535)
    await sharp(deep, { raw: { width: 2, height: 2, channels: 1 } })
      .toColorspace('grey16')
      .png()
      .toFile(join(folder, 'deep.png'))
    expect([...(await readImage(join(folder, 'deep.png'))).data]).toEqual(expected)
    await sharp(Uint8Array.of(10, 20, 30, 255, 10, 20, 30, 0), { raw: { width: 2, height: 1, channels: 4 } })
      .png()
      .toFile(join(folder, 'alpha.png'))
    expect([...(await readImage(join(folder, 'alpha.png'))).data]).toEqual([10, 20, 30, 0, 0, 0])
  })

  it('reads back what writePng writes', async () => {
    const data = Uint8Array.from({ length: 5 * 4 * 3 }, (_, i) => (i * 37) % 256)
    await writePng(join(folder, 'deep/x.png'), { width: 5, height: 4, data })
    expect(await readImage(join(folder, 'deep/x.png'))).toEqual({ width: 5, height: 4, data })
  })

  it.each([
    ['empty.png', new Uint8Array(0)],
    ['text.jpg', Buffer.from('not an image')],
    ['cut.png', Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')],
  ])('refuses %s with one line', async (name, bytes) => {
    const path = join(folder, name)
    writeFileSync(path, bytes)
    const error: unknown = await readImage(path).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(NoduleError)
    expect((error as NoduleError).message).toContain(name)
    expect((error as NoduleError).message).not.toContain('\n')
  })
})

it('what is encoded must have the values of its size', async () => {
  const wrong = (parameter: string): object => ({ code: 'INVALID_PARAMETER', parameters: [parameter] })
  await expect(encodePng({ width: 2, height: 2, data: new Uint8Array(11) })).rejects.toMatchObject(
    wrong('data'),
  )
  await expect(encodePng({ width: 0, height: 0, data: new Uint8Array() })).rejects.toMatchObject(
    wrong('width'),
  )
  // What a short plane leaves out would be read as -32768 HU.
  const planes = [new Float32Array(4), new Float32Array(3)]
  await expect(encodeHuPng(2, 2, planes)).rejects.toMatchObject(wrong('planes[1]'))
})

describe('frames of HU', () => {
  it('hold every int16 HU and are windowed when read', async () => {
    const planes = [
      Float32Array.of(-32768, -1000, -300, 0),
      Float32Array.of(32767, 400, -1001, 401),
      Float32Array.of(-999.6, 399.4, 50.5, 1e9),
    ]
    const path = join(folder, 'hu.png')
    writeFileSync(path, await encodeHuPng(2, 2, planes))
    expect(await readImageSize(path)).toEqual({ width: 2, height: 2 })
    const gray = (hu: number) => Math.min(255, Math.max(0, Math.floor(((hu + 1000) / 1400) * 255 + 0.5)))
    const { data } = await readHuImage(path, { low: -1000, high: 400 })
    const rounded = [-32768, 32767, -1000, -1000, 400, 399, -300, -1001, 51, 0, 401, 32767]
    expect([...data]).toEqual(rounded.map(gray))
  })

  it('are not read from gray frames', async () => {
    const path = join(folder, 'one.png')
    await sharp({ create: { width: 4, height: 4, channels: 3, background: '#123' } })
      .png()
      .toFile(path)
    await expect(readHuImage(path, { low: -1000, high: 400 })).rejects.toThrow(/one\.png: not a frame of HU/)
  })
})

describe('frames of any number of channels', () => {
  const window = { low: -1000, high: 400 }
  const [width, height, channels] = [16, 8, 5]
  // [channels, height, width]: every gray level.
  const data = Uint8Array.from({ length: channels * height * width }, (_, n) => (n * 7 + (n >> 8)) & 255)
  const interleaved = data.map((_, n) => data[(n % channels) * width * height + Math.floor(n / channels)]!)

  it('are gray files, one plane below the other, and come back as they were', async () => {
    const bytes = await encodeFrame({ width, height, channels, data })
    // IHDR: rows of all planes, 8 bits, color type 0.
    expect([bytes.readUInt32BE(16), bytes.readUInt32BE(20), bytes[24], bytes[25]]).toEqual([16, 40, 8, 0])
    const path = join(folder, 'five.png')
    writeFileSync(path, bytes)
    const frame = await readPlanes(path, channels, 'gray8', window)
    expect({ width: frame.width, height: frame.height }).toEqual({ width, height })
    expect(Buffer.from(frame.data).equals(Buffer.from(interleaved))).toBe(true)
  })

  it('are read from files of three equal channels too, as data sets have that were prepared before', async () => {
    const rgb = Uint8Array.from({ length: data.length * 3 }, (_, n) => data[Math.floor(n / 3)]!)
    const path = join(folder, 'five-rgb.png')
    await sharp(rgb, { raw: { width, height: height * channels, channels: 3 } })
      .png()
      .toFile(path)
    const frame = await readPlanes(path, channels, 'gray8', window)
    expect(Buffer.from(frame.data).equals(Buffer.from(interleaved))).toBe(true)
  })
})

describe('color profiles', () => {
  /** An ICC profile of gray levels with a gamma: header, description, white point, curve. */
  function grayProfile(gamma: number): Buffer {
    const profile = Buffer.alloc(0x148)
    profile.writeUInt32BE(0x148, 0)
    profile.writeUInt32BE(0x02100000, 8)
    profile.write('mntrGRAYXYZ ', 12, 'latin1')
    profile.write('acsp', 36, 'latin1')
    const white = Buffer.from('0000f6d5000100000000d32c', 'hex')
    white.copy(profile, 68)
    profile.writeUInt32BE(4, 128)
    const tags: [string, number, number][] = [
      ['desc', 0xb4, 0x60],
      ['wtpt', 0x114, 0x14],
      ['cprt', 0x128, 0x10],
      ['kTRC', 0x138, 0x10],
    ]
    tags.forEach(([name, offset, length], n) => {
      profile.write(name, 132 + 12 * n, 'latin1')
      profile.writeUInt32BE(offset, 136 + 12 * n)
      profile.writeUInt32BE(length, 140 + 12 * n)
    })
    profile.write('desc', 0xb4, 'latin1')
    profile.writeUInt32BE(6, 0xbc)
    profile.write('gray', 0xc0, 'latin1')
    profile.write('XYZ ', 0x114, 'latin1')
    white.copy(profile, 0x11c)
    profile.write('text', 0x128, 'latin1')
    profile.write('curv', 0x138, 'latin1')
    profile.writeUInt32BE(1, 0x140)
    profile.writeUInt16BE(gamma * 256, 0x144)
    return profile
  }

  function withProfile(png: Buffer, profile: Buffer): Buffer {
    const content = Buffer.concat([Buffer.from('iCCPp\0\0', 'latin1'), deflateSync(profile)])
    const length = Buffer.alloc(4)
    length.writeUInt32BE(content.length - 4)
    const sum = Buffer.alloc(4)
    sum.writeUInt32BE(crc32(content))
    return Buffer.concat([png.subarray(0, 33), length, content, sum, png.subarray(33)])
  }

  it('do not change gray levels', async () => {
    const values = Uint8Array.from({ length: 256 }, (_, n) => n)
    const png = await sharp(values, { raw: { width: 16, height: 16, channels: 1 } })
      .toColorspace('b-w')
      .png()
      .toBuffer()
    for (const gamma of [1, 1.8, 2.2]) {
      const path = join(folder, `profile-${gamma}.png`)
      writeFileSync(path, withProfile(png, grayProfile(gamma)))
      expect((await sharp(path).metadata()).icc).toBeDefined()
      const image = await readImage(path)
      expect([...image.data.filter((_, n) => n % 3 === 0)]).toEqual([...values])
    }
  })
})
