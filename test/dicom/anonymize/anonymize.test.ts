import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anonymize, decodePixels, dumpLines, parseDicom, sliceHeaders } from '../../../src/dicom/index.js'
import type { AnonymizeOptions } from '../../../src/dicom/index.js'
import { NoduleError } from '../../../src/errors.js'
import { createRandom } from '../../../src/random.js'
import {
  BIG_ENDIAN,
  EXPLICIT,
  IMPLICIT,
  dataSet,
  numbers,
  sliceElements,
  sliceFile,
  text,
  uint16s,
} from '../bytes.js'
import type { FileOptions, TestElement } from '../bytes.js'
import { mutate } from '../mutate.js'

const SECRETS = [
  'Doe^Jane',
  'SECRETID',
  '19700102',
  'Dr^Who',
  'St. Elsewhere',
  '20240305',
  'SN-4711',
  'Hidden^Name',
]

const identified: TestElement[] = [
  text('00080012', 'DA', '20240305'),
  text('00080020', 'DA', '20240305'),
  text('00080080', 'LO', 'St. Elsewhere'),
  text('00080090', 'PN', 'Dr^Who'),
  {
    tag: '00081140',
    vr: 'SQ',
    items: [[text('00081150', 'UI', '1.2.840.10008.5.1.4.1.1.2'), text('00081155', 'UI', '1.2.3.77')]],
  },
  text('00100010', 'PN', 'Doe^Jane'),
  text('00100030', 'DA', '19700102'),
  text('00100040', 'CS', 'F'),
  text('00101010', 'AS', '054Y'),
  text('00110010', 'LO', 'ACME'),
  text('00111001', 'LO', 'Doe^Jane'),
  text('00181000', 'LO', 'SN-4711'),
  // A name that the profile's table does not list, in a sequence that it keeps.
  { tag: '00189346', vr: 'SQ', items: [[text('00189999', 'PN', 'Hidden^Name')]] },
  { tag: '60003000', vr: 'OW', bytes: Buffer.from('Doe^Jane') },
]

const pixels = uint16s(Array.from({ length: 16 }, (_, n) => 1000 + n))

function subject(file: FileOptions = {}, extra: TestElement[] = []): Buffer {
  const big = file.transferSyntax === BIG_ENDIAN
  const bytes = big
    ? uint16s(
        Array.from({ length: 16 }, (_, n) => 1000 + n),
        true,
      )
    : pixels
  return sliceFile(
    {
      pixels: bytes,
      uid: '1.2.3.99',
      extra: [...identified, text('00100020', 'LO', 'SECRETID'), ...extra],
      without: ['00100020'],
    },
    file,
  )
}

const run = (bytes: Uint8Array, o: Partial<AnonymizeOptions> = {}): ReturnType<typeof anonymize> =>
  anonymize(parseDicom(bytes, 'a.dcm'), { key: 'k', ...o })

const lineOf = (bytes: Uint8Array, tag: string): string | undefined =>
  dumpLines(parseDicom(bytes, 'b.dcm'))
    .find((line) => line.startsWith(tag))
    ?.slice(53)

describe('anonymize', () => {
  it.each<[string, FileOptions]>([
    ['explicit', {}],
    ['implicit', { transferSyntax: IMPLICIT }],
    ['big endian', { transferSyntax: BIG_ENDIAN }],
    ['no meta information', { meta: false, preamble: false }],
  ])('leaves no trace of who it was, and the pixels: %s', async (_, options) => {
    const { bytes, patientId } = await run(subject(options))
    for (const secret of SECRETS) expect(bytes.includes(secret), secret).toBe(false)
    expect(bytes.includes('1.2.3.77')).toBe(false)
    const file = parseDicom(bytes, 'b.dcm')
    expect(file.stopped).toBeUndefined()
    expect(file.transferSyntax).toBe('1.2.840.10008.1.2.1')
    const [header] = sliceHeaders(file, bytes.length)
    expect(header).toMatchObject({
      patientId,
      modality: 'CT',
      imagePosition: [-10, -20, 0],
      pixelSpacing: [0.7, 0.7],
    })
    expect([...(await decodePixels(file, header!))]).toEqual(Array.from({ length: 16 }, (_, n) => 1000 + n))
    expect(lineOf(bytes, '(0010, 0010)')).toBe("''")
    expect(lineOf(bytes, '(0012, 0062)')).toBe("'YES'")
    expect(lineOf(bytes, '(0012, 0063)')).toBe("'DCM:113100'")
    expect(lineOf(bytes, '(0028, 0303)')).toBe("'REMOVED'")
  })

  it('the same key gives the same identities, another key others', async () => {
    const [a, b, c] = [await run(subject()), await run(subject()), await run(subject(), { key: 'other' })]
    expect(a.bytes.equals(b.bytes)).toBe(true)
    for (const name of ['patientId', 'studyInstanceUid', 'seriesInstanceUid', 'sopInstanceUid'] as const) {
      expect(a[name]).not.toBe(c[name])
    }
    expect(a.sopInstanceUid).toMatch(/^2\.25\.[1-9]\d{30,38}$/)
  })

  it('options keep what they name and say so', async () => {
    const { bytes, sopInstanceUid, patientId } = await run(subject(), {
      keepUids: true,
      keepPatient: true,
      keepDevice: true,
      dates: 'keep',
      patientId: 'X1',
    })
    expect([sopInstanceUid, patientId]).toEqual(['1.2.3.99', 'X1'])
    expect(lineOf(bytes, '(0010, 0040)')).toBe("'F'")
    expect(lineOf(bytes, '(0010, 1010)')).toBe("'054Y'")
    expect(lineOf(bytes, '(0018, 1000)')).toBe("'SN-4711'")
    expect(lineOf(bytes, '(0008, 0020)')).toBe("'20240305'")
    expect(lineOf(bytes, '(0010, 0030)')).toBe("''")
    expect(lineOf(bytes, '(0012, 0063)')).toBe("'DCM:113100/113106/113108/113109/113110'")
  })

  it.each(['', 'A\\B', 'J\u00fcrgen', '\u5f20', 'A\nB', 'x'.repeat(65), '  ', ' A', 'A '])(
    'refuses %j as Patient ID',
    async (patientId) => {
      await expect(run(subject(), { patientId })).rejects.toMatchObject({
        ...{ code: 'INVALID_PARAMETER', parameters: ['patientId'] },
        message: expect.stringContaining(
          'Expected 1 to 64 printable ASCII characters without a backslash or outer spaces',
        ) as string,
      })
    },
  )

  it.each(['x'.repeat(64), "Case [1] 'a' ~^_!"])('takes %j as Patient ID', async (patientId) => {
    const { bytes } = await run(subject(), { patientId })
    expect(sliceHeaders(parseDicom(bytes, 'b.dcm'), bytes.length)[0]!.patientId).toBe(patientId)
  })

  it('shifts all dates of a patient by the same days', async () => {
    const { bytes } = await run(subject(), { dates: 'shift' })
    const [created, study] = ['(0008, 0012)', '(0008, 0020)'].map((tag) => lineOf(bytes, tag))
    expect(created).toBe(study)
    expect(created).toMatch(/^'(201[4-9]|202[0-4])\d{4}'$/)
    expect(created).not.toBe("'20240305'")
  })

  it.each(['LO', 'UN', 'OB', 'UI'])('replaces UIDs that a file has as %s, alike', async (vr) => {
    const without = ['0020000e']
    const extra = [text('0020000e', vr, '1.2.3.4567'), text('00200052', vr, '1.2.3.4568')]
    const { bytes, seriesInstanceUid } = await run(sliceFile({ extra, without }))
    const usual = await run(
      sliceFile({
        without,
        extra: [text('0020000e', 'UI', '1.2.3.4567'), text('00200052', 'UI', '1.2.3.4568')],
      }),
    )
    expect(bytes.equals(usual.bytes)).toBe(true)
    expect(bytes.includes('1.2.3.456')).toBe(false)
    expect(lineOf(bytes, '(0020, 000e)')).toBe(seriesInstanceUid)
    expect((await run(sliceFile({ extra, without }), { keepUids: true })).bytes.includes('1.2.3.4567')).toBe(
      true,
    )
  })

  it('what an Enhanced CT must have, and every dummy, is of some length', async () => {
    const name = Buffer.from('Doe^Jane')
    const { bytes } = await run(
      subject({}, [
        text('0008002a', 'DT', '20240305101112'),
        { tag: '00340002', vr: 'OB', bytes: name },
        { tag: '00720071', vr: 'UR', bytes: name },
        { tag: '0072006d', vr: 'UN', bytes: name },
        { tag: '00081072', vr: 'SQ', items: [] },
        {
          tag: '00401101',
          vr: 'SQ',
          items: [
            [
              text('00080100', 'SH', 'Doe^Jane'),
              text('0008010c', 'UI', '1.2.3.77'),
              { tag: '00080109', vr: 'SQ', items: [[text('00080104', 'LO', 'Doe^Jane')]] },
              text('00101000', 'LO', 'Doe^Jane'),
            ],
          ],
        },
      ]),
    )
    expect(bytes.includes(name)).toBe(false)
    expect(bytes.includes('1.2.3.77')).toBe(false)
    expect(lineOf(bytes, '(0008, 002a)')).toBe("'19000101000000'")
    expect(lineOf(bytes, '(0018, 1000)')).toBe("'ANONYMIZED'")
    const { elements } = parseDicom(bytes, 'b.dcm').dataSet
    for (const tag of ['x00340002', 'x00720071', 'x0072006d', 'x00081072', 'x00401101'])
      expect(elements[tag]!.length, tag).toBeGreaterThan(0)
    expect(Object.keys(elements['x00401101']!.items![0]!.dataSet!.elements)).toEqual([
      'x00080100',
      'x00080109',
      'x0008010c',
    ])
  })

  it('refuses burned-in text, damage and objects without identity', async () => {
    await expect(run(subject({}, [text('00280301', 'CS', 'YES')]))).rejects.toThrow(
      /\(0028,0301\): text is burned/,
    )
    const bytes = subject()
    await expect(run(bytes.subarray(0, bytes.length - 10))).rejects.toThrow(/cannot anonymize a damaged file/)
    await expect(run(sliceFile({ without: ['00080018'] }))).rejects.toThrow(
      /without identity: expected SOP Instance UID/,
    )
  })

  it('keeps what the options of the profile keep, and shifts dates of calibration with the others', async () => {
    const extra = [
      text('00102160', 'SH', 'GROUP'),
      text('001021a0', 'CS', 'NO'),
      text('00181009', 'UT', 'UDI-1'),
      text('00181200', 'DA', '20240305'),
      text('00400242', 'SH', 'STATION'),
    ]
    const names: TestElement = {
      tag: '00404028',
      vr: 'SQ',
      items: [[text('00080100', 'SH', 'CT1'), text('00081070', 'PN', 'Doe^Jane')]],
    }
    const source = subject({}, [...extra, names])
    const patient = (await run(source, { keepPatient: true })).bytes
    const device = (await run(source, { keepDevice: true })).bytes
    const lines = (bytes: Buffer): (string | undefined)[] =>
      ['(0010, 2160)', '(0010, 21a0)', '(0018, 1009)', '(0040, 0242)'].map((tag) => lineOf(bytes, tag))
    expect(lines(patient)).toEqual(["'GROUP'", "'NO'", undefined, undefined])
    expect(lines(device)).toEqual([undefined, undefined, "'UDI-1'", "'STATION'"])
    expect(device.includes('CT1')).toBe(true)
    expect(device.includes('Doe^Jane')).toBe(false)
    expect(lineOf(device, '(0018, 1200)')).toBe("'20240305'")
    const shifted = (await run(source, { keepDevice: true, dates: 'shift' })).bytes
    expect(lineOf(shifted, '(0018, 1200)')).toBe(lineOf(shifted, '(0008, 0020)'))
  })

  it('takes the identity of the meta information where the data set has none', async () => {
    const sopClass = '1.2.840.10008.5.1.4.1.1.2'
    const meta = dataSet([
      text('00020002', 'UI', sopClass),
      text('00020003', 'UI', '1.2.3.98'),
      text('00020010', 'UI', EXPLICIT),
    ])
    const file = Buffer.concat([
      ...[Buffer.alloc(128), Buffer.from('DICM'), dataSet([numbers('00020000', 'UL', meta.length)]), meta],
      dataSet(sliceElements({ without: ['00080016', '00080018'] })),
    ])
    const { bytes, sopInstanceUid } = await run(file)
    const [told] = sliceHeaders(parseDicom(bytes, 'b.dcm'), bytes.length)
    expect(told).toMatchObject({ sopClassUid: sopClass, sopInstanceUid })
    expect(sopInstanceUid).toBe((await run(sliceFile({ uid: '1.2.3.98' }))).sopInstanceUid)
    expect(bytes.includes('1.2.3.98')).toBe(false)
    expect((await run(file, { keepUids: true })).sopInstanceUid).toBe('1.2.3.98')
    await expect(run(sliceFile({ without: ['00080016'] }))).rejects.toMatchObject({
      code: 'FORMAT',
      message:
        'a.dcm: cannot write an object without identity: expected SOP Class UID (0008,0016) but received none',
    })
  })

  it('refuses native pixels of a transfer syntax that nobody knows', async () => {
    const transferSyntax = '1.2.840.113619.5.2'
    await expect(run(sliceFile({}, { transferSyntax }))).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: `a.dcm: (0002,0010): cannot tell how the pixels are written: expected a known transfer syntax but received ${transferSyntax}`,
    })
  })

  it('any names in any character are gone', async () => {
    const name = fc.string({
      unit: fc.constantFrom('A', 'B', 'C', 'Ä', 'Ö', 'é', 'z', '^', ' ', '-'),
      minLength: 6,
      maxLength: 30,
    })
    await fc.assert(
      fc.asyncProperty(name, async (value) => {
        const bytes = sliceFile({
          extra: [text('00080005', 'CS', 'ISO_IR 100'), text('00100010', 'PN', `Q${value}Q`)],
        })
        expect((await run(bytes)).bytes.includes(Buffer.from(`Q${value}Q`, 'latin1'))).toBe(false)
      }),
      { seed: 1 },
    )
  })

  it('mutants are refused or come out readable and nameless', async () => {
    const random = createRandom(9)
    const source = subject()
    for (let n = 0; n < 500; n++) {
      try {
        const { bytes } = await run(mutate(source, random))
        parseDicom(bytes, 'b.dcm')
      } catch (error) {
        expect(error).toBeInstanceOf(NoduleError)
      }
    }
  })
})
