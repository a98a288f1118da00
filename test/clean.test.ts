import { mkdtempSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { csvCell, escapeXml, oneLine, plainText, safeLines, unescapeXml } from '../src/clean.js'
import { findSeries } from '../src/dicom/index.js'
import { checkNoInput } from '../src/files.js'
import { writeMarksCsv, writeMetaImage } from '../src/formats/index.js'
import { convertSeries } from '../src/scans/index.js'
import { sliceFile, text } from './dicom/bytes.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-clean-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const ATTACK = 'P\u001b[2J\u009b1m\r\nfailed: forged\u202egnp\ud800'

describe('texts of files', () => {
  it('a line stays one line and moves no cursor', () => {
    expect(oneLine(ATTACK)).toBe('P\\u001b[2J\\u009b1m\\u000d\\u000afailed: forged\\u202egnp\\ud800')
    expect(oneLine('Müller 王 😀 é')).toBe('Müller 王 😀 é')
    expect(safeLines('a\n\tb\u001b[31m')).toBe('a\n\tb\\u001b[31m')
  })

  it('XML gets no character that it forbids', () => {
    expect(escapeXml('a\u0001<&"\uffff>')).toBe('a\ufffd&lt;&amp;&quot;\ufffd&gt;')
    expect(unescapeXml(escapeXml('&lt;<&">'))).toBe('&lt;<&">')
    expect(plainText('a\u0000b')).toBe('a\ufffdb')
  })

  it.each([
    ['1.2.840', '1.2.840'],
    ['-5.5', '-5.5'],
    ['=1+1', "'=1+1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['+cmd', "'+cmd"],
    ["-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"],
    ['+1e-3', '+1e-3'],
    [' =1', "' =1"],
    ['\uff1d1+1', "'\uff1d1+1"],
    ['a,"b"', '"a,""b"""'],
    ['a\nb', 'a\ufffdb'],
  ])('a cell %j', (value, cell) => {
    expect(csvCell(value)).toBe(cell)
  })

  it('of tags come without control characters, and end no table of a run', async () => {
    for (const z of [0, 2])
      writeFileSync(
        join(folder, `${z}.dcm`),
        sliceFile({
          z,
          uid: `1.2.${z}`,
          without: ['00100020', '0020000e'],
          extra: [text('00100020', 'LO', 'P\u001b[2J\nx'), text('0020000e', 'UI', '1.2"\n=3')],
        }),
      )
    const [series] = (await findSeries([folder])).series
    expect([series!.patientId, series!.seriesInstanceUid]).toEqual(['P2J\ufffdx', '1.2"\ufffd=3'])
    const path = join(folder, 'marks.csv')
    const mark = { x: 1, y: 2, z: 3, probability: 0.5 }
    await writeMarksCsv(path, [
      { seriesUid: series!.seriesInstanceUid, ...mark },
      { seriesUid: '1.2,3\n4', ...mark },
    ])
    expect(readFileSync(path, 'utf8').split('\n').slice(1, 3)).toEqual([
      '"1.2""\ufffd=3",1,2,3,0.5',
      '"1.2,3\ufffd4",1,2,3,0.5',
    ])
  })
})

describe('results over their inputs', () => {
  it('are refused, links followed', async () => {
    const input = join(folder, 'input.txt')
    writeFileSync(input, 'x')
    symlinkSync(input, join(folder, 'link.txt'))
    for (const output of [input, join(folder, 'link.txt'), join(folder, 'none', '..', 'input.txt')])
      await expect(checkNoInput(output, [undefined, input])).rejects.toThrow(
        /the result would replace its own input: expected another name$/,
      )
    await checkNoInput(join(folder, 'other.txt'), [input])
  })

  it('convert: onto itself, or onto the voxels of another header', async () => {
    const place = join(folder, 'volumes')
    mkdirSync(place)
    const volume = {
      data: new Int16Array(3 * 16).fill(7),
      shape: [3, 4, 4] as const,
      geometry: {
        origin: [0, 0, 0] as const,
        rowDirection: [1, 0, 0] as const,
        columnDirection: [0, 1, 0] as const,
        sliceDirection: [0, 0, 1] as const,
        spacing: [2, 1, 1] as const,
        slicePositions: [0, 2, 4],
      },
      sopInstanceUids: [],
      seriesInstanceUid: '1',
      patientId: '',
    }
    const header = join(place, 'a.mhd')
    await writeMetaImage(header, volume)
    writeFileSync(join(place, 'b.mhd'), readFileSync(header, 'utf8'))
    for (const [from, to] of [
      ['a.mhd', 'a.mhd'],
      ['b.mhd', 'a.mhd'],
    ] as const)
      await expect(convertSeries([join(place, from)], join(place, to))).rejects.toThrow(
        /would replace its own input/,
      )
    expect(readFileSync(join(place, 'a.raw'))).toHaveLength(96)
  })
})
