import type { Random } from '../../src/random.js'

/** What replaces a number: the ends of its range, and what is no number. */
const NUMBERS = [
  '0',
  '-1',
  '1e308',
  '-1e308',
  '1e-320',
  'NaN',
  'null',
  '"5"',
  '99999999999',
  '1e9',
  '-0',
  '2.5',
  '',
]
/** What replaces a value of JSON, or comes between pieces of any text. */
const PIECES = [
  ...[
    '{}',
    '[]',
    'null',
    'true',
    '"x"',
    '[[[[]]]]',
    '{"__proto__": {"a": 1}}',
    '"constructor"',
    '\u0000',
    '\u009b[2J',
  ],
  ...[
    '\ud800',
    '<',
    '&',
    '&#0;',
    ']]>',
    '<!--',
    '"',
    "'",
    ',',
    '\n',
    '\r\n',
    '\u2028',
    '\ufeff',
    '..',
    '/',
    '\\',
    '%',
  ],
]

/** A damaged copy of a text (JSON, XML, CSV, headers of text): numbers, keys and values changed, pieces moved. */
export function mutateText(bytes: Uint8Array, random: Random): Uint8Array {
  let text = Buffer.from(bytes).toString('utf8')
  const rounds = 1 + random.integer(3)
  for (let round = 0; round < rounds && text.length > 2; round++) {
    const at = random.integer(text.length)
    const end = Math.min(text.length, at + 1 + random.integer(24))
    const piece = (list: readonly string[]): string => list[random.integer(list.length)]!
    switch (random.integer(8)) {
      case 0:
        text = replaceNext(text, at, /-?\d+(\.\d+)?(e[+-]?\d+)?/gi, piece(NUMBERS))
        break
      case 1:
        text = replaceNext(text, at, /"[^"]*"\s*:/g, piece(['"__proto__":', '"constructor":', '"x":', '']))
        break
      case 2:
        text = replaceNext(text, at, /(?<=:\s*)("[^"]*"|[\d.e+-]+|true|false|null|\{\}|\[\])/g, piece(PIECES))
        break
      case 3:
        text = text.slice(0, at) + text.slice(end)
        break
      case 4:
        text = text.slice(0, end) + text.slice(at)
        break
      case 5:
        text = text.slice(0, at) + piece(PIECES) + text.slice(at)
        break
      case 6:
        text = text.slice(0, at) + piece(PIECES).repeat(1 + random.integer(400)) + text.slice(end)
        break
      default:
        text = text.slice(0, at)
    }
  }
  return Buffer.from(text)
}

function replaceNext(text: string, from: number, pattern: RegExp, by: string): string {
  pattern.lastIndex = from
  const match = pattern.exec(text)
  if (match === null) return text
  return text.slice(0, match.index) + by + text.slice(match.index + match[0].length)
}
