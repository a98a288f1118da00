/** Text from files and names, made safe for the places where it goes. */

/** Control characters (line ends too), separators of lines, marks that turn the direction of text, halves of characters. */
const UNSAFE = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]|\p{Cs}/gu

/** One line that a terminal only shows: nothing in it can move the cursor, forge a line or turn text around. */
export function oneLine(text: string): string {
  return text.replace(UNSAFE, escapeCode)
}

/** The same for several lines: line ends and tabs stay. */
export function safeLines(text: string): string {
  return text.replace(UNSAFE, (character) =>
    character === '\n' || character === '\t' ? character : escapeCode(character),
  )
}

function escapeCode(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** A value of a tag: control characters, which no value may have, become one that shows that something was there. */
export function plainText(text: string): string {
  return text.replace(UNSAFE, '\ufffd')
}

/** Text inside of XML and SVG. */
export function escapeXml(text: string): string {
  return plainText(text)
    .replace(/[\ufffe\uffff]/g, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** The text that `escapeXml` was given: XML's own five entities and numbers of characters; others stay as they are. */
export function unescapeXml(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]{2,4}));/gi, (whole, decimal, hex, name) => {
    if (typeof name === 'string') return ENTITIES[name] ?? whole
    const code = typeof hex === 'string' ? Number.parseInt(hex, 16) : Number(decimal)
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}

const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i

/** What a spreadsheet takes for a formula (also by a wide sign), be it behind apostrophes. */
const isFormula = (text: string): boolean =>
  /^'*\s*[=+@\uff0b\uff0d\uff1d\uff20-]/.test(text) && !NUMBER.test(text)

/** A cell of CSV: one line, quoted where it must be, and never a formula for a spreadsheet: an apostrophe keeps it a text. */
export function csvCell(text: string): string {
  const plain = plainText(text)
  const shown = isFormula(plain) ? `'${plain}` : plain
  return /[",]/.test(shown) ? `"${shown.replaceAll('"', '""')}"` : shown
}

/** The text of a cell that `csvCell` wrote, its quotes taken off already. */
export function fromCsvCell(cell: string): string {
  const rest = cell.slice(1)
  return cell.startsWith("'") && isFormula(rest) ? rest : cell
}
