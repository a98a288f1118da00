import { createRequire } from 'node:module'

/** What PS3.6 says of a tag. */
export interface DictionaryEntry {
  /** "Slice Thickness" */
  name: string
  /** Value representation; may be a choice such as "US or SS". */
  vr: string
}

interface Elements {
  elements: Record<string, { name: string; vr: string } | undefined>
}

interface Keywords {
  data: { DicomMetaDictionary: { dictionary: Record<string, { name: string; vr: string } | undefined> } }
}

// Both packages hold large tables: they are loaded when the first name is asked for.
const require = createRequire(import.meta.url)
let elements: Elements['elements'] | undefined
let keywords: Keywords['data']['DicomMetaDictionary']['dictionary'] | undefined

const ENTITIES: Record<string, string> = {
  '&#x27;': "'",
  '&amp;': '&',
  '&quot;': '"',
  '&lt;': '<',
  '&gt;': '>',
}

/**
 * The dictionary's entry for a standard tag, undefined for private and unknown ones.
 *
 * @param tag 8 hexadecimal digits, lower case
 */
export function lookUp(tag: string): DictionaryEntry | undefined {
  const group = Number.parseInt(tag.slice(0, 4), 16)
  if (tag.endsWith('0000') && group > 4) return { name: 'Group Length', vr: 'UL' }
  if (group % 2 === 1) return undefined
  if (group <= 4) return fromKeyword(tag)
  elements ??= (require('@iwharris/dicom-data-dictionary') as Elements).elements
  const upper = tag.toUpperCase()
  const key = `(${upper.slice(0, 4)},${upper.slice(4)})`
  // Curves and overlays repeat every second group: (50xx,....), (60xx,....).
  const found =
    elements[key] ?? (/^\((50|60)/.test(key) ? elements[`${key.slice(0, 3)}xx${key.slice(5)}`] : undefined)
  if (found === undefined) return undefined
  const name = found.name
    .replaceAll('\u200b', '')
    .replaceAll(/&[#\w]+;/g, (entity) => ENTITIES[entity] ?? entity)
  return { name, vr: /^[A-Z]{2}( or [A-Z]{2})*$/.test(found.vr) ? found.vr : 'UN' }
}

/** Groups 0002 and 0004 are not in that package; dcmjs has their keywords. */
function fromKeyword(tag: string): DictionaryEntry | undefined {
  const upper = tag.toUpperCase()
  keywords ??= (require('dcmjs') as Keywords).data.DicomMetaDictionary.dictionary
  const found = keywords[`(${upper.slice(0, 4)},${upper.slice(4)})`]
  if (found === undefined) return undefined
  const name = found.name
    .replace(/^RETIRED_/, '')
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .replaceAll(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .replaceAll('File Set', 'File-set')
    .replaceAll('In Use', 'In-use')
    .replaceAll('Lower Level', 'Lower-Level')
  // dcmjs writes "up" for the unsigned long that is an offset into the file.
  return { name, vr: found.vr === 'up' ? 'UL' : found.vr }
}

/**
 * The name as old pydicom printed it: the 2013 edition's, without the possessive ("Patient Name"), which only group 0070
 * kept.
 *
 * @returns '' for unknown standard tags
 */
export function displayName(tag: string): string {
  const group = Number.parseInt(tag.slice(0, 4), 16)
  if (group % 2 === 1)
    return tag.slice(4, 6) === '00' && !tag.endsWith('0000') ? 'Private Creator' : privateName(tag)
  const name = OLD_NAMES[tag] ?? lookUp(tag)?.name ?? ''
  return tag.startsWith('0070') ? name : name.replaceAll(/s' |'s /g, (end) => (end === "'s " ? ' ' : 's '))
}

function privateName(tag: string): string {
  return tag.endsWith('0000') ? 'Group Length' : 'Private tag data'
}

/** Names that the standard has changed since. */
const OLD_NAMES: Record<string, string> = {
  '00181020': 'Software Version(s)',
}
