import type { DataSet } from 'dicom-parser'
import { NoduleError } from '../../errors.js'
import { uidName } from '../dump/uids.js'
import type { DicomFile } from './parse.js'
import { text, uint16 } from './values.js'

/** What stands for Pixel Data in images that have none: pixels that are not read. */
const INSTEAD = [
  ['x7fe00008', '(7FE0,0008)', 'floating-point pixels'],
  ['x7fe00009', '(7FE0,0009)', 'floating-point pixels'],
  ['x56000020', '(5600,0020)', 'spectra'],
  ['x00287fe0', '(0028,7FE0)', 'pixels that a server has'],
] as const

/** Why a file has no Pixel Data: it is cut off, holds something else, or is an object without pixels (`no-image`). */
export function withoutPixels({ dataSet, meta, path, stopped }: DicomFile): NoduleError {
  for (const [tag, place, what] of INSTEAD)
    if (dataSet.elements[tag] !== undefined)
      return new NoduleError('UNSUPPORTED', `cannot read ${what}`, { path, place })
  const expected = 'Pixel Data (7FE0,0010)'
  if (stopped !== undefined)
    return new NoduleError('FORMAT', 'damaged data set', { path, expected, actual: stopped })
  if (isImage(dataSet, meta))
    return new NoduleError('FORMAT', 'image without pixels', {
      path,
      expected,
      actual: 'the end of the file',
    })
  const actual = `${text(dataSet, 'x00080060') ?? 'an object'} without pixels`
  return new NoduleError('FORMAT', 'no image in the file', { fault: 'no-image', path, expected, actual })
}

/** By its SOP class, which files name at their beginning, or since it has rows and columns. */
function isImage(dataSet: DataSet, meta: DataSet | undefined): boolean {
  const sopClass = text(dataSet, 'x00080016') ?? (meta && text(meta, 'x00020002'))
  if (sopClass !== undefined && uidName(sopClass).includes('Image Storage')) return true
  return (uint16(dataSet, 'x00280010') ?? 0) > 0 && (uint16(dataSet, 'x00280011') ?? 0) > 0
}
