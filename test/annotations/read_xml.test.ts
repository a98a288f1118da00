import { readFileSync } from 'node:fs'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseLidcXml, ratingMeaning, readLidcXml } from '../../src/annotations/index.js'
import type { LidcReading } from '../../src/annotations/index.js'
import { formatLidcXml } from '../../src/annotations/writer.js'
import { NoduleError } from '../../src/errors.js'
import { createRandom } from '../../src/random.js'
import { realData } from '../real_data.js'
import { mutate } from '../dicom/mutate.js'
import { characteristics, message, nodule, nonNodule, roi, session, square } from './xml.js'

const read = (xml: string): LidcReading => {
  const reading = parseLidcXml(xml, 'a.xml')
  if (reading.kind !== 'ct') throw new Error('expected a CT reading')
  return reading
}

describe('parseLidcXml', () => {
  it('resolves the entities of free texts, so that they come back as they were written', () => {
    const id = 'A & B <1> "é"'
    const of = (xml: string): string => read(xml).sessions[0]!.nodules[0]!.noduleId
    const { seriesInstanceUid, studyInstanceUid } = { seriesInstanceUid: '1.2.3', studyInstanceUid: '1.2' }
    const contours = [
      { sopInstanceUid: '1', z: 1, inclusion: true, points: square(1, 1, 2).map(([x, y]) => ({ x, y })) },
    ]
    const sessions = [{ readerId: 'r', nodules: [{ id, contours }], smallNodules: [], nonNodules: [] }]
    expect(of(formatLidcXml({ seriesInstanceUid, studyInstanceUid, sessions }))).toBe(id)
    expect(
      of(message(session(nodule('&#65;&#x42;&apos;&amp;lt;&nbsp;&#x110000;', '', roi(1, square(1, 1, 2)))))),
    ).toBe("AB'&lt;&nbsp;&#x110000;")
  })

  it('reads UTF-8 that declares UTF-16', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nodule-xml-'))
    const path = join(folder, 'a.xml')
    const xml = message(session(nodule('é', '', roi(1, square(1, 1, 2)))))
    for (const encoding of ['utf-16', 'UTF-16LE', 'UCS-2']) {
      writeFileSync(path, xml.replace('encoding="UTF-8"', `encoding="${encoding}"`))
      expect(await readLidcXml(path)).toMatchObject({ sessions: [{ nodules: [{ noduleId: 'é' }] }] })
    }
    rmSync(folder, { recursive: true })
  })

  it('reads sessions, ratings, contours and points', () => {
    const reading = read(
      message(
        session(
          nodule('Nodule 001', characteristics(), roi(-125, square(10, 20, 3), 'TRUE', '1.2.9')),
          nodule('2', '', roi(-100, [[7, 8]])),
          nonNodule(-90.5, 3, 4),
        ),
        session(),
      ),
    )
    expect(reading).toMatchObject({ seriesInstanceUid: '1.2.3.4', studyInstanceUid: '1.2.3', warnings: [] })
    expect(reading.sessions).toHaveLength(2)
    const [first] = reading.sessions
    expect(first!.readerId).toBe('anonymous')
    expect(first!.nodules[0]).toMatchObject({
      noduleId: 'Nodule 001',
      ratings: { subtlety: 5, internalStructure: 1, calcification: 6, malignancy: 4 },
      contours: [{ sopInstanceUid: '1.2.9', z: -125, inclusion: true }],
    })
    expect(first!.nodules[0]!.contours[0]!.points[0]).toEqual({ x: 9, y: 19 })
    expect(first!.smallNodules).toEqual([{ id: '2', sopInstanceUid: '', z: -100, x: 7, y: 8 }])
    expect(first!.nonNodules).toEqual([{ id: 'N', sopInstanceUid: '', z: -90.5, x: 3, y: 4 }])
  })

  it.each([
    ['empty characteristics', '<characteristics/>', 0],
    ['blank ratings', characteristics(Array<string>(9).fill('')), 1],
    ['zero ratings', characteristics(Array<number>(9).fill(0)), 1],
  ])('%s on a point: a small nodule', (_, ratings, warnings) => {
    const reading = read(message(session(nodule('1', ratings, roi(0, [[1, 1]])))))
    expect(reading.sessions[0]!.smallNodules).toHaveLength(1)
    expect(reading.sessions[0]!.nodules).toHaveLength(0)
    expect(reading.warnings).toHaveLength(warnings)
  })

  it('reads points however they are written', () => {
    const points = (edges: string): unknown => {
      const plain = message(
        session(
          nodule(
            '1',
            '',
            roi(0, [
              [1, 2],
              [3, 4],
              [5, 6],
            ]),
          ),
        ),
      )
      const xml = plain.replace(/<edgeMap>.*<\/edgeMap>/s, edges)
      return read(xml).sessions[0]!.nodules[0]!.contours[0]!.points
    }
    const [a, b, c] = [
      [1, 2],
      [3, 4],
      [5, 6],
    ].map(([x, y]) => `<edgeMap><xCoord>${x}</xCoord><yCoord>${y}</yCoord></edgeMap>`) as [
      string,
      string,
      string,
    ]
    const expected = [
      { x: 1, y: 2 },
      { x: 3, y: 4 },
      { x: 5, y: 6 },
    ]
    expect(points(a + b + c)).toEqual(expected)
    const odd = [
      '<edgeMap><yCoord>4</yCoord><xCoord>3</xCoord></edgeMap>',
      '<edgeMap n="1"><xCoord>3</xCoord><yCoord>4</yCoord></edgeMap>',
      '<edgeMap>\r\n <xCoord> 3 </xCoord>\r\n <yCoord>4</yCoord>\r\n</edgeMap>',
      '<edgeMap><!-- second --><xCoord>3.0</xCoord><yCoord>4</yCoord></edgeMap>',
      '<q:edgeMap><q:xCoord>3</q:xCoord><q:yCoord>4</q:yCoord></q:edgeMap>',
    ]
    for (const second of odd) expect(points(a + second + c), second).toEqual(expected)
    expect(() => points(`${a}<edgeMap>7</edgeMap>${c}`)).toThrow(/edgeMap\[2\]\/yCoord: .*a number/)
    expect(() => points(`${a}<edgeMap><xCoord>7</xCoord></edgeMap>${c}`)).toThrow(/edgeMap\[2\]\/yCoord/)
    // The line is that of the file, not of what the parser sees.
    const broken = message(`\n<x>\n${a}\n${b}\n${a}\n<edgeMap><xCoord>7</edgeMap>\n</x>`)
    const line = broken.slice(0, broken.indexOf('7</edgeMap>')).split('\n').length
    expect(() => read(broken)).toThrow(`line ${line}`)
  })

  it('a contour without ratings stays a nodule', () => {
    const reading = read(message(session(nodule('1', '<characteristics/>', roi(0, square(1, 1, 2))))))
    expect(reading.sessions[0]!.nodules[0]).not.toHaveProperty('ratings')
    expect(reading.warnings[0]).toContain('has a contour and no ratings')
  })

  it('keeps a rating beyond its scale and says so', () => {
    const reading = read(
      message(session(nodule('1', characteristics([5, 5, 6, 3, 3, 3, 4, 5, 4]), roi(0, square(1, 1, 2))))),
    )
    expect(reading.sessions[0]!.nodules[0]!.ratings!.internalStructure).toBe(5)
    expect(reading.warnings).toEqual([
      'readingSession[1]/unblindedReadNodule[1]: rating internalStructure is 5, beyond 1 to 4',
    ])
    expect(ratingMeaning('internalStructure', 5)).toBe('beyond the scale')
    expect(ratingMeaning('malignancy', 5)).toBe('Highly Suspicious')
    expect(ratingMeaning('spiculation', 1)).toBe('No Spiculation')
  })

  it('drops stray points of a nodule', () => {
    const reading = read(
      message(session(nodule('1', characteristics(), roi(0, square(1, 1, 2)), roi(2.5, [[4, 4]])))),
    )
    expect(reading.sessions[0]!.nodules[0]!.contours).toHaveLength(1)
    expect(reading.warnings[0]).toContain('1 single-point regions of nodule "1" dropped')
  })

  it('recognizes X-ray readings', () => {
    const xml = `<IdriReadMessage xmlns="http://www.nih.gov/idri"><ResponseHeader>
      <CTSeriesInstanceUid>1.2.5</CTSeriesInstanceUid><CXRSeriesInstanceUid>1.2.6</CXRSeriesInstanceUid></ResponseHeader>
      <CXRreadingSession><unblindedRead/></CXRreadingSession></IdriReadMessage>`
    expect(parseLidcXml(xml, 'x')).toMatchObject({
      kind: 'cxr',
      seriesInstanceUid: '1.2.6',
      ctSeriesInstanceUid: '1.2.5',
    })
  })

  const good = message(session(nodule('1', characteristics(), roi(0, square(1, 1, 2)))))
  it.each<[string, string, RegExp]>([
    [
      'another root',
      '<html></html>',
      /root element: .*expected LidcReadMessage or IdriReadMessage but received html/,
    ],
    ['no header', '<LidcReadMessage></LidcReadMessage>', /expected a ResponseHeader/],
    ['truncated', good.slice(0, -40), /not well-formed XML/],
    [
      'no number',
      good.replace('<xCoord>0</xCoord>', '<xCoord>left</xCoord>'),
      /edgeMap\[1\]\/xCoord: .*a number but received "left"/,
    ],
    [
      'a negative pixel',
      good.replace('<xCoord>0</xCoord>', '<xCoord>-2</xCoord>'),
      /a pixel index from -1 to 65535/,
    ],
    [
      'a negative point',
      message(session(nonNodule(1, -1, 0))),
      /locus\/xCoord: .*a pixel index from 0 to 65535/,
    ],
    ['no inclusion', good.replace('TRUE', 'maybe'), /inclusion: .*TRUE or FALSE but received "maybe"/],
    [
      'no z',
      good.replace(/<imageZposition>.*?<\/imageZposition>/, ''),
      /imageZposition: .*expected a number/,
    ],
    ['an entity bomb', `<!DOCTYPE a [<!ENTITY b "bbbb">]>${good}`, /no document type declaration/],
    ['deep nesting', '<a>'.repeat(100_000), /nested at most 32 deep/],
    ['empty', '', /not well-formed|root element/],
  ])('refuses %s', (_, xml, expected) => {
    expect(() => parseLidcXml(xml, 'bad.xml')).toThrow(NoduleError)
    expect(() => parseLidcXml(xml, 'bad.xml')).toThrow(expected)
    expect(() => parseLidcXml(xml, 'bad.xml')).toThrow(/^bad\.xml: /)
  })

  it('mutants end in a reading or a NoduleError, soon', () => {
    const random = createRandom(3)
    const source = Buffer.from(good)
    for (let n = 0; n < 1000; n++) {
      const text = Buffer.from(mutate(source, random)).toString('utf8')
      const start = process.cpuUsage()
      try {
        parseLidcXml(text, 'mutant.xml')
      } catch (error) {
        expect(error).toBeInstanceOf(NoduleError)
      }
      expect(process.cpuUsage(start).user / 1000).toBeLessThan(1000)
    }
  })

  it('any points come back as they were written', () => {
    const point = fc.tuple(fc.integer({ min: -1, max: 512 }), fc.integer({ min: -1, max: 512 }))
    fc.assert(
      fc.property(
        fc.array(point, { minLength: 2, maxLength: 30 }),
        fc.double({ min: -2000, max: 2000, noNaN: true }),
        (points, z) => {
          const reading = read(message(session(nodule('1', characteristics(), roi(z, points)))))
          const contour = reading.sessions[0]!.nodules[0]!.contours[0]!
          expect(contour.z).toBe(z + 0)
          expect(contour.points).toEqual(points.map(([x, y]) => ({ x, y })))
        },
      ),
      { seed: 1, numRuns: 50 },
    )
  })
})

describe('readLidcXml', () => {
  it('bounds the size and names missing files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nodule-xml-'))
    try {
      const path = join(folder, 'big.xml')
      writeFileSync(path, Buffer.alloc(65 * 1024 * 1024, 32))
      await expect(readLidcXml(path)).rejects.toThrow(/file too large: expected at most 67108864 bytes/)
      await expect(readLidcXml(join(folder, 'none.xml'))).rejects.toThrow(
        /none\.xml: cannot read: no such file/,
      )
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

const xml = realData('lidc-xml')
describe.skipIf(xml === undefined)('quirks of LIDC files', () => {
  const file = (name: string): LidcReading => {
    const path = join(xml!, 'tcia-lidc-xml', name)
    return read(readFileSync(path, 'utf8'))
  }

  it('187/255: internalStructure 5', () => {
    expect(file('187/255.xml').warnings.join()).toContain('rating internalStructure is 5, beyond 1 to 4')
  })
  it('188/264 and 188/283: ratings of zero on one point', () => {
    expect(file('188/264.xml').warnings.join()).toContain('rating subtlety is 0')
    expect(file('188/283.xml').warnings.join()).toContain('rating subtlety is 0')
  })
  it('187/044 and 187/191: a contour without ratings', () => {
    expect(file('187/044.xml').sessions[1]!.nodules[0]).not.toHaveProperty('ratings')
    expect(file('187/191.xml').sessions[2]!.nodules.some((mark) => mark.ratings === undefined)).toBe(true)
  })
  it('188/082 to 086: five files of one series with equal readings', () => {
    const [first, ...others] = ['082', '083', '084', '085', '086'].map((n) => file(`188/${n}.xml`))
    for (const other of others) expect(other.sessions).toEqual(first!.sessions)
  })
})
