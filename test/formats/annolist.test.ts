import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import protobuf from 'protobufjs'
import { afterAll, describe, expect, it } from 'vitest'
import { readList } from '../../src/dataset/index.js'
import { NoduleError } from '../../src/errors.js'
import { gunzip } from '../../src/formats/annolist.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-annolist-'))
afterAll(() => rmSync(folder, { recursive: true }))

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

function refused(path: string): NoduleError {
  try {
    readList(path)
  } catch (error) {
    expect(error).toBeInstanceOf(NoduleError)
    return error as NoduleError
  }
  throw new Error('nothing was thrown')
}

const IDL = `"left/a.png": (10, 20, 30.5, 40):0.75, (1.0,2,3,4e0):-1/7;
"b c.png"@3;
"d.png": (30, 40, 10, 20), (5, 5, 5, 9).
`
const AL = `<?xml version="1.0"?>
<annotationlist>
  <annotation><image><name>left/a.png</name></image>
    <annorect><x1>10</x1><y1>20</y1><x2>30.5</x2><y2>40</y2><score>0.75</score></annorect>
    <annorect><x1>1.0</x1><y1>2</y1><x2>3</x2><y2>4e0</y2><score>-1</score></annorect>
  </annotation>
  <annotation><image><name>b c.png</name></image></annotation>
  <annotation><image><name>d.png</name></image>
    <annorect><x1>30</x1><y1>40</y1><x2>10</x2><y2>20</y2></annorect>
    <annorect><x1>5</x1><y1>5</y1><x2>5</x2><y2>9</y2></annorect>
  </annotation>
</annotationlist>`
const box = (x1: number, y1: number, x2: number, y2: number, score?: number): object => ({
  ...{ x1, y1, x2, y2 },
  ...(score === undefined ? {} : { score }),
})
const LIST = [
  ['left/a.png', [box(10, 20, 30.5, 40, 0.75), box(1, 2, 3, 4, -1)]],
  ['b c.png', []],
  ['d.png', [box(30, 40, 10, 20), box(5, 5, 5, 9)]],
] as const
// Field numbers of TensorBox's AnnoList.proto, which also has ids, attributes and the image's size.
const PAL = protobuf
  .parse(
    `syntax = "proto2";
     message Rect { optional float x1 = 1; optional float y1 = 2; optional float x2 = 3; optional float y2 = 4;
       optional float score = 5; optional int32 id = 6; }
     message Annotation { optional string imageName = 1; repeated Rect rect = 2; optional int32 imgWidth = 3; }
     message List { repeated Annotation annotation = 1; }`,
    { keepCase: true },
  )
  .root.lookupType('List')
const pal = PAL.encode(
  PAL.fromObject({
    annotation: LIST.map(([imageName, rect]) => ({
      imageName,
      imgWidth: 640,
      rect: rect.map((one) => ({ ...one, id: 2 })),
    })),
  }),
).finish()

describe("TensorBox's older lists", () => {
  it.each([
    ['a.idl', IDL],
    ['a.idl.gz', gzipSync(IDL)],
    ['a.al', AL],
    ['a.AL.GZ', gzipSync(AL)],
    ['a.pal', pal],
    ['a.pal.gz', gzipSync(pal)],
    ['a.json.gz', gzipSync(JSON.stringify(LIST.map(([image_path, rects]) => ({ image_path, rects }))))],
  ])('reads %s as the JSON list', (name, content) => {
    const { entries, warnings } = readList(file(name, content))
    expect(entries).toEqual([
      { image_path: 'left/a.png', rects: LIST[0][1] },
      { image_path: 'b c.png', rects: [] },
      // Turned back; the box without an area is gone.
      { image_path: 'd.png', rects: [box(10, 20, 30, 40)] },
    ])
    expect(warnings.map((line) => line.replace(/^.*?: /, ''))).toEqual([
      '1 box turned inside out was turned back',
      '1 box without an area was dropped',
    ])
  })

  it.each([
    [
      'b.idl',
      '"a.png": (1, 2, 3, 4);\n"b.png": (1, 2, 3);\n',
      'line 2: not a line of an .idl list: expected (x1, y1, x2, y2), perhaps with :score but received "(1, 2, 3)"',
    ],
    ['c.idl', 'a.png: (1, 2, 3, 4);', 'line 1: not a line of an .idl list'],
    [
      'b.al',
      '<annotationlist><annotation><image/></annotation></annotationlist>',
      'annotation 1: not an .al list: expected image/name',
    ],
    [
      'c.al',
      AL.replace('30.5', 'wide'),
      'annotation 1, annorect 1, x2: not an .al list: expected number but received "wide"',
    ],
    ['d.al', '<annotationlist><annotation>', 'not an .al list: expected XML'],
    ['e.al', '<list/>', 'expected the element annotationlist but received "list"'],
    ['b.pal', pal.subarray(0, 20), 'not a .pal list'],
    ['b.pal.gz', pal, 'not a gzip file'],
  ])('refuses %s with the place', (name, content, message) => {
    const error = refused(file(name, content))
    expect(error.code).toBe('FORMAT')
    expect(error.message).toContain(
      `${join(folder, name)}: ${message}`.replace(/: expected the/, ': not an .al list: expected the'),
    )
  })

  it('unpacks no bomb', () => {
    expect(() => gunzip(gzipSync(Buffer.alloc(5000)), 'x.gz', 4000)).toThrow(
      'x.gz: too large when unpacked: expected at most 4000 bytes',
    )
  })
})
