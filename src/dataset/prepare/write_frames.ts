import { join } from 'node:path'
import { makeFolder, writeFileAtomic } from '../../files.js'
import type { FrameMapping } from '../../geometry/frame.js'
import type { HuVolume } from '../../volume/index.js'
import { channelSlices, renderPlaneHu } from '../frames.js'
import { encodeFrame, encodeHuPng } from '../../formats/images.js'
import type { FrameSource, ListEntry } from '../list.js'
import { renderSliceFrames } from '../slice_frames.js'
import type { FrameParameters } from './parameters.js'
import { sha256 } from '../../hash.js'

/** Frames rendered and encoded together. */
const FRAMES_AT_ONCE = 16

/**
 * Writes the frames of a volume that entries name, all of one mapping.
 * @returns SHA-256 of each file, by its path in the data set's folder
 */
export async function writeFrames(
  volume: HuVolume,
  entries: readonly (ListEntry & { nodule: FrameSource })[],
  parameters: FrameParameters,
  output: string,
): Promise<Record<string, string>> {
  const frames: Record<string, string> = {}
  await makeFolder(join(output, 'frames'))
  for (let first = 0; first < entries.length; first += FRAMES_AT_ONCE) {
    const some = entries.slice(first, first + FRAMES_AT_ONCE)
    const slices = some.map((entry) => entry.nodule.k)
    const pngs = await framesAsPng(volume, some[0]!.nodule.mapping, slices, parameters)
    for (const [n, png] of pngs.entries()) {
      const path = some[n]!.image_path
      frames[path] = sha256(png)
      await writeFileAtomic(join(output, path), png)
    }
  }
  return frames
}

async function framesAsPng(
  volume: HuVolume,
  mapping: FrameMapping,
  slices: readonly number[],
  parameters: FrameParameters,
): Promise<Buffer[]> {
  const { frameWidth: width, frameHeight: height } = mapping
  const { neighborMm, channels, windowLowHu: low, windowHighHu: high } = parameters
  if (parameters.encoding === 'hu16') {
    const planes: Record<number, Float32Array> = {}
    const plane = (k: number): Float32Array =>
      (planes[k] ??= renderPlaneHu(volume, k, mapping, new Float32Array(width * height)))
    return Promise.all(
      slices.map((k) =>
        encodeHuPng(width, height, channelSlices(volume.geometry, k, neighborMm, channels).map(plane)),
      ),
    )
  }
  const layout = channels === 3 ? 'NHWC' : 'NCHW'
  const style = { mapping, window: { low, high }, neighborMm, channels, layout } as const
  const frames = await renderSliceFrames(volume, slices, style)
  const size = width * height * channels
  return Promise.all(
    slices.map((_, n) =>
      encodeFrame({ width, height, channels, data: frames.subarray(n * size, (n + 1) * size) }),
    ),
  )
}
