import { NoduleError } from '../errors.js'
import type { Hypes } from '../config/hypes.js'
import { hypesWindow } from './frames.js'
import { readPlanes } from '../formats/images.js'
import { imageFile } from './list.js'
import type { FrameEncoding, FrameList, ListEntry } from './list.js'
import { resizeImage } from './resample.js'

/** An entry's image as the model takes it. */
export interface ModelFrame {
  /** Gray levels, [height, width, data.channels]. */
  data: Uint8Array
  /** The frame of the hypes; with data.mm_per_pixel, the image as it is: a canvas that crops and tiles are cut from. */
  width: number
  height: number
  /** Frame pixels per image pixel: 1 unless the image had another size and was resized. */
  scaleX: number
  scaleY: number
}

/** Reads the image of a list's entry in the size of the hypes. Throws NoduleError (FILE, FORMAT, UNSUPPORTED). */
export async function readFrame(
  list: Pick<FrameList, 'dir'>,
  entry: ListEntry,
  hypes: Hypes,
): Promise<ModelFrame> {
  return readFrameFile(imageFile(list, entry), frameFormat(entry), hypes)
}

/** How the image of an entry holds its frame. */
export interface FrameFormat {
  encoding: FrameEncoding
  channels: number
}

export function frameFormat(entry: ListEntry): FrameFormat {
  return { encoding: entry.nodule?.encoding ?? 'gray8', channels: entry.nodule?.channels ?? 3 }
}

export async function readFrameFile(file: string, format: FrameFormat, hypes: Hypes): Promise<ModelFrame> {
  const { image_width: width, image_height: height } = hypes
  const { channels } = hypes.data
  if (format.channels !== channels) {
    throw new NoduleError('FORMAT', 'a frame of another number of channels than the hypes have', {
      path: file,
      expected: `data.channels = ${channels}`,
      actual: String(format.channels),
    })
  }
  const image = await readPlanes(file, channels, format.encoding, hypesWindow(hypes))
  if (hypes.data.mm_per_pixel > 0 || (image.width === width && image.height === height))
    return { data: image.data, width: image.width, height: image.height, scaleX: 1, scaleY: 1 }
  return {
    data: resizeImage(image.data, image.width, image.height, channels, width, height),
    width,
    height,
    scaleX: width / image.width,
    scaleY: height / image.height,
  }
}
