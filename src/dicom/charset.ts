/** WHATWG names of the defined terms of Specific Character Set (PS3.3 C.12.1.1.2). */
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

/**
 * Decodes text of a data set.
 *
 * @param charsets values of Specific Character Set (0008,0005), e.g. 'ISO_IR 100'; none: the default repertoire
 */
export function decodeText(bytes: Uint8Array, charsets: readonly string[]): string {
  const ascii = bytes.every((byte) => byte < 0x80 && byte !== 0x1b)
  if (ascii) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  // With code extensions the last set is the one that plain ASCII and Latin 1 cannot write.
  const encoding = charsets.map(encodingOf).findLast((name) => name !== undefined) ?? 'latin1'
  if (encoding === 'latin1') {
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  }
  return new TextDecoder(encoding).decode(encoding === 'iso-2022-jp' ? bytes : withoutEscapes(bytes))
}

function encodingOf(term: string): string | undefined {
  if (/^(GB18030|GBK)$/i.test(term)) return 'gb18030'
  const number = /(\d+)$/.exec(term)?.[1]
  return number === undefined ? undefined : ENCODINGS[number]
}

/** Drops ISO 2022 escapes ("ESC $ ) C"), which these decoders do not know and do not need. */
function withoutEscapes(bytes: Uint8Array): Uint8Array {
  const kept: number[] = []
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] !== 0x1b) {
      kept.push(bytes[at]!)
      continue
    }
    at++
    while (at < bytes.length && bytes[at]! >= 0x20 && bytes[at]! <= 0x2f) at++
  }
  return Uint8Array.from(kept)
}
