/** What an enhanced image says of its frames: in functional groups, one for all frames and one for each. */
import type { DataSet } from 'dicom-parser'
import { numbersOf, uint16 } from './values.js'

/** What tells frames of one enhanced image apart besides their place; absent where it is no frame's own. */
export interface FrameKind {
  imageType?: string[]
  kernel?: string
  acquisitionNumber?: number
  temporalPosition?: number
  rescaleType?: string
  kvp?: number
}

/** @param values decodes all values of a text element of a data set */
export function readFrameKind(
  dataSet: DataSet,
  frame: number,
  values: (tag: string, holder: DataSet) => string | undefined,
): FrameKind {
  const own = (sequence: string, tag: string): DataSet | undefined => {
    const holder = holderOf(dataSet, frame, sequence, tag)
    return holder === dataSet ? undefined : holder
  }
  const text = (sequence: string, tag: string): string | undefined => {
    const holder = own(sequence, tag)
    return holder === undefined ? undefined : values(tag, holder)
  }
  const number = (sequence: string, tag: string): number | undefined => {
    const holder = own(sequence, tag)
    if (holder === undefined) return undefined
    return holder.elements[tag]?.length === 4 ? holder.uint32(tag) : uint16(holder, tag)
  }
  const decimal = (sequence: string, tag: string): number | undefined => {
    const holder = own(sequence, tag)
    return holder === undefined ? undefined : numbersOf(holder, tag)?.[0]
  }
  const kind = {
    // Frame Type of CT Image Frame Type; Convolution Kernel of CT Reconstruction; Frame Content; Rescale Type; CT X-Ray Details.
    imageType: text('x00189329', 'x00089007')?.split('\\'),
    kernel: text('x00189314', 'x00181210'),
    acquisitionNumber: number('x00209111', 'x00209156'),
    temporalPosition: number('x00209111', 'x00209128'),
    rescaleType: text('x00289145', 'x00281054'),
    kvp: decimal('x00189325', 'x00180060'),
  }
  // Only what there is: the rest is the data set's.
  return Object.fromEntries(Object.entries(kind).filter(([, value]) => value !== undefined)) as FrameKind
}

/**
 * What holds a tag of a functional group macro for a frame: the frame's own item, else the shared one (PS3.3 C.7.6.16),
 * else the data set itself. Writers divide the tags of one macro among both.
 */
export function holderOf(dataSet: DataSet, frame: number, sequence: string, tag: string): DataSet {
  const groups = [dataSet.elements['x52009230']?.items?.[frame], dataSet.elements['x52009229']?.items?.[0]]
  for (const group of groups) {
    const item = group?.dataSet?.elements[sequence]?.items?.[0]?.dataSet
    if (item?.elements[tag] !== undefined) return item
  }
  return dataSet
}
