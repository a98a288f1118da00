import type { Hypes } from '../config/hypes.js'
import { hypesWindow } from './frames.js'
import { readHuImage, readImage } from './images.js'
import { imageFile } from './list.js'
import type { FrameEncoding, FrameList, ListEntry } from './list.js'
import { resizeImage } from './resample.js'

/** An entry's image as the model takes it. */
export interface ModelFrame {
  /** Gray levels, [image_height, image_width, 3]. */
  data: Uint8Array
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
  return readFrameFile(imageFile(list, entry), entry.nodule?.encoding ?? 'gray8', hypes)
}

export async function readFrameFile(
  file: string,
  encoding: FrameEncoding,
  hypes: Hypes,
): Promise<ModelFrame> {
  const { image_width: width, image_height: height } = hypes
  const image = encoding === 'hu16' ? await readHuImage(file, hypesWindow(hypes)) : await readImage(file)
  const fits = image.width === width && image.height === height
  return {
    data: fits ? image.data : resizeImage(image.data, image.width, image.height, 3, width, height),
    scaleX: width / image.width,
    scaleY: height / image.height,
  }
}
