/** WHATWG names of the defined terms of Specific Character Set (PS3.3 C.12.1.1.2), by their number. */
const ENCODINGS: Record<string, string> = {
  '6': 'latin1',
  '100': 'latin1',
  '101': 'iso-8859-2',
  '109': 'iso-8859-3',
  '110': 'iso-8859-4',
  '144': 'iso-8859-5',
  '127': 'iso-8859-6',
  '126': 'iso-8859-7',
  '138': 'iso-8859-8',
  '148': 'windows-1254',
  '203': 'iso-8859-15',
  '166': 'windows-874',
  '13': 'shift_jis',
  '87': 'iso-2022-jp',
  '159': 'iso-2022-jp',
  '149': 'euc-kr',
  '58': 'gb18030',
  '192': 'utf-8',
}

/** What an escape sequence (PS3.3 table C.12-3, 4) makes of the bytes behind it: the number of a term. */
const ESCAPES: Readonly<Record<string, string>> = {
  '(B': '6',
  '-A': '100',
  '-B': '101',
  '-C': '109',
  '-D': '110',
  '-L': '144',
  '-G': '127',
  '-F': '126',
  '-H': '138',
  '-M': '148',
  '-b': '203',
  '-T': '166',
  ')I': '13',
  '(J': '13',
  $B: '87',
  '$@': '87',
  '$(D': '159',
  '$)C': '149',
  '$)A': '58',
}

/** Text whose delimiters begin anew with the first character set (PS3.5 6.1.2.5.3): names have two more. */
const DELIMITERS = new Set([0x09, 0x0a, 0x0c, 0x0d, 0x5c])
const NAME_DELIMITERS = new Set([...DELIMITERS, 0x3d, 0x5e])

/**
 * Decodes text of a data set, with code extensions where its character sets have them: an escape sequence holds up to
 * the next one or the next delimiter.
 *
 * @param charsets values of Specific Character Set (0008,0005), e.g. 'ISO_IR 100'; none: the default repertoire
 * @param vr names (PN) have delimiters of their own
 */
export function decodeText(bytes: Uint8Array, charsets: readonly string[], vr?: string): string {
  if (bytes.every((byte) => byte < 0x80 && byte !== 0x1b)) return latin1(bytes)
  const [first = ''] = charsets
  const initial = numberOf(first)
  // UTF-8 and GB18030 know no escapes, and their delimiters need no reset.
  if (initial === '192' || initial === '58') return decode(bytes, initial)
  if (!bytes.includes(0x1b)) {
    // Without an escape, the set that these bytes can be in: the first, or the only one that has an upper half.
    const others = charsets
      .map(numberOf)
      .filter((set) => set !== undefined && set !== '6' && !isMultiByte(set))
    return decode(bytes, initial === undefined || initial === '6' ? onlyOne(others) : initial)
  }
  // No first value: the default repertoire, to which escapes lead back.
  return decodePieces(bytes, initial ?? '6', vr === 'PN' ? NAME_DELIMITERS : DELIMITERS)
}

/** Cuts at escapes and delimiters and decodes each piece by the sets that hold there. */
function decodePieces(bytes: Uint8Array, initial: string, delimiters: Set<number>): string {
  const out: string[] = []
  let set: string = initial
  let start = 0
  const flush = (end: number): void => {
    if (end > start) out.push(decode(bytes.subarray(start, end), set))
  }
  for (let at = 0; at < bytes.length;) {
    const byte = bytes[at]!
    if (byte === 0x1b) {
      flush(at)
      let end = at + 1
      while (end < bytes.length && bytes[end]! >= 0x20 && bytes[end]! <= 0x2f) end++
      const name = latin1(bytes.subarray(at + 1, end + 1))
      // An escape that nobody knows changes nothing.
      const escaped = name === '(B' ? (isMultiByte(set) ? initialAscii(initial) : set) : ESCAPES[name]
      set = escaped ?? set
      at = end + 1
      start = at
    } else if (delimiters.has(byte) && !isMultiByte(set)) {
      flush(at)
      out.push(String.fromCharCode(byte))
      set = initial
      at++
      start = at
    } else at += isMultiByte(set) && byte > 0x20 && at + 1 < bytes.length ? 2 : 1
  }
  flush(bytes.length)
  return out.join('')
}

/** ASCII in G0 leaves the upper half as it was, which only a set of one byte has. */
function initialAscii(initial: string): string {
  return isMultiByte(initial) ? '6' : initial
}

/** Kanji of two 7-bit bytes, among which delimiters' codes are no delimiters. */
function isMultiByte(set: string | undefined): boolean {
  return set === '87' || set === '159'
}

function decode(bytes: Uint8Array, set: string | undefined): string {
  const encoding = (set === undefined ? undefined : ENCODINGS[set]) ?? 'latin1'
  if (encoding === 'latin1') return latin1(bytes)
  if (encoding !== 'iso-2022-jp') return new TextDecoder(encoding).decode(bytes)
  // The 7-bit pairs of JIS X 0208 and 0212 are EUC-JP's without its upper bits (0212 behind a single shift).
  const euc: number[] = []
  for (let at = 0; at < bytes.length; at++) {
    const [byte, next] = [bytes[at]!, bytes[at + 1]]
    if (byte <= 0x20 || next === undefined) euc.push(byte)
    else {
      if (set === '159') euc.push(0x8f)
      euc.push(byte | 0x80, next | 0x80)
      at++
    }
  }
  return new TextDecoder('euc-jp').decode(Uint8Array.from(euc))
}

function onlyOne(sets: readonly (string | undefined)[]): string | undefined {
  return new Set(sets).size === 1 ? sets[0] : undefined
}

function numberOf(term: string): string | undefined {
  if (/^(ISO 2022 )?(GB18030|GBK)$/i.test(term)) return '58'
  // No defined terms, but writers use them, and pydicom takes them.
  if (/^utf-?8$/i.test(term)) return '192'
  const number = /(?<!\d)(\d+)$/.exec(term)?.[1]
  return number !== undefined && number in ENCODINGS ? number : undefined
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
