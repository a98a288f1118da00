import { hypesWindow, renderSliceFrames } from '../dataset/index.js'
import type { Tile } from '../dataset/index.js'
import type { Hypes } from '../config/hypes.js'
import type { HuVolume } from '../volume/index.js'
import type { Examined } from './region.js'

/** What a frame shows. */
export interface FramePlace {
  /** Slice index. */
  k: number
  tile: Tile
  /** Where its bytes begin. */
  offset: number
}

/** The frames of some slices. */
export interface Chunk {
  slices: number[]
  /** Those of one tile lie behind each other. */
  places: FramePlace[]
  /** [channels, height, width] of each place; valid until the next chunk is asked for. */
  frames: Uint8Array
}

/** Slices rendered at a time: their planes are shared between neighbors. */
const CHUNK = 16
/** Frames rendered at a time, where a slice has many. */
const CHUNK_FRAMES = 64

/** Bytes of a frame of the model. */
export function frameBytes({ mapping }: Pick<Tile, 'mapping'>, hypes: Hypes): number {
  return hypes.data.channels * mapping.frameWidth * mapping.frameHeight
}

/**
 * The frames of slices in chunks that fill a batch; the next chunk is rendered while the caller works on one.
 */
export async function* renderAhead(
  volume: HuVolume,
  { slices, tilesOfSlice }: Pick<Examined, 'slices' | 'tilesOfSlice'>,
  hypes: Hypes,
  batch: number,
): AsyncGenerator<Chunk> {
  const most = slices.reduce((count, k) => Math.max(count, tilesOfSlice(k).length), 1)
  const few = Math.min(CHUNK, Math.floor(CHUNK_FRAMES / most))
  const size = Math.min(slices.length, Math.max(1, few, Math.ceil(batch / most)))
  const buffers = [new Uint8Array(), new Uint8Array()]
  const render = async (start: number): Promise<Chunk> => {
    const chunk = slices.slice(start, start + size)
    const slicesOfTile = new Map<Tile, number[]>()
    for (const k of chunk)
      for (const tile of tilesOfSlice(k)) {
        const those = slicesOfTile.get(tile)
        if (those === undefined) slicesOfTile.set(tile, [k])
        else those.push(k)
      }
    let bytes = 0
    for (const [tile, those] of slicesOfTile) bytes += those.length * frameBytes(tile, hypes)
    let frames = buffers.shift()!
    if (frames.length < bytes) frames = new Uint8Array(bytes)
    buffers.push(frames)
    const places: FramePlace[] = []
    let offset = 0
    // Tile by tile: slices that show the same tile share their neighbors' planes.
    for (const [tile, those] of slicesOfTile) {
      const style = {
        mapping: tile.mapping,
        window: hypesWindow(hypes),
        neighborMm: hypes.data.neighbor_mm,
        channels: hypes.data.channels,
        layout: 'NCHW' as const,
      }
      const length = frameBytes(tile, hypes)
      const out = frames.subarray(offset, offset + those.length * length)
      await renderSliceFrames(volume, those, style, out)
      for (const k of those) {
        places.push({ k, tile, offset })
        offset += length
      }
    }
    return { slices: chunk, places, frames }
  }
  let next = slices.length > 0 ? render(0) : undefined
  try {
    for (let start = 0; start < slices.length; start += size) {
      const chunk = await next!
      next = start + size < slices.length ? render(start + size) : undefined
      // Awaited when its turn comes; until then nobody would hear of an error.
      next?.catch(() => undefined)
      yield chunk
    }
  } finally {
    // The caller may leave early: the volume must not change while it is being rendered.
    await next?.catch(() => undefined)
  }
}
