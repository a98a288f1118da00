import dicomParser from 'dicom-parser'
import type { ByteStream, DataSet, Element } from 'dicom-parser'

/** How the elements of the broken sequence are written, and the parser to try first. */
export interface RecoverContext {
  explicit: boolean
  read: (stream: ByteStream) => Element
  newDataSet: (elements: DataSet['elements']) => DataSet
  newStream: (position: number) => ByteStream
}

const UNDEFINED = 0xffffffff
const MAX_DEPTH = 64

/**
 * Reads what is left of a sequence that dicom-parser gave up on: the items and elements before the damage.
 *
 * @param start offset of the element's tag
 * @returns the element with the items that could be read, or undefined where it is no sequence
 */
export function recoverSequence(
  start: number,
  end: number,
  context: RecoverContext,
  depth = 0,
): Element | undefined {
  if (depth > MAX_DEPTH || start + 12 > end) return undefined
  const stream = context.newStream(start)
  const tag = dicomParser.readTag(stream)
  let vr: string | undefined
  if (context.explicit) {
    vr = stream.readFixedString(2)
    if (vr !== 'SQ') return undefined
    stream.seek(2)
  }
  const length = stream.readUint32()
  const element: Element = {
    tag,
    ...(vr === undefined ? {} : { vr }),
    length,
    dataOffset: stream.position,
    items: [],
  }
  const limit = length === UNDEFINED ? end : Math.min(end, stream.position + length)
  while (stream.position + 8 <= limit) {
    const itemTag = dicomParser.readTag(stream)
    const itemLength = stream.readUint32()
    if (itemTag !== 'xfffee000') break
    const from = stream.position
    const itemEnd = itemLength === UNDEFINED ? limit : Math.min(limit, from + itemLength)
    const { dataSet, position } = readItem(from, itemEnd, context, depth)
    element.items!.push({ tag: itemTag, length: position - from, dataOffset: from, dataSet })
    stream.seek(Math.max(position, itemLength === UNDEFINED ? position : itemEnd) - stream.position)
  }
  if (!context.explicit && element.items!.length === 0) return undefined
  element.length = Math.min(length, end - element.dataOffset)
  return element
}

/** Elements from `from` on, until the item ends or breaks. */
function readItem(
  from: number,
  end: number,
  context: RecoverContext,
  depth: number,
): { dataSet: DataSet; position: number } {
  const dataSet = context.newDataSet({})
  let position = from
  while (position + 8 <= end) {
    const stream = context.newStream(position)
    let element: Element | undefined
    try {
      element = context.read(stream)
      if (stream.position > end) element = undefined
    } catch {
      element = undefined
    }
    if (element === undefined) {
      const rest = recoverSequence(position, end, context, depth + 1)
      if (rest !== undefined) dataSet.elements[rest.tag] = rest
      return { dataSet, position: end }
    }
    position = stream.position
    if (element.tag === 'xfffee00d') break
    dataSet.elements[element.tag] = element
  }
  return { dataSet, position }
}
