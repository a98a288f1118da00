import { hypesWindow, renderSliceFrames } from '../dataset/index.js'
import type { Tile } from '../dataset/index.js'
import type { Hypes } from '../config/hypes.js'
import type { HuVolume } from '../volume/index.js'
import { append } from '../lists.js'

/** What a frame shows. */
export interface FramePlace {
  /** Slice index. */
  k: number
  tile: Tile
}

/** The frames of some slices. */
export interface Chunk {
  slices: number[]
  places: FramePlace[]
  /** [places, channels, height, width]; valid until the next chunk is asked for. */
  frames: Uint8Array
}

/** Slices rendered at a time: their planes are shared between neighbors. */
const CHUNK = 16
/** Frames rendered at a time, where a slice has many. */
const CHUNK_FRAMES = 64

/** Bytes of a frame of the model. */
export function frameBytes(hypes: Hypes): number {
  return hypes.data.channels * hypes.image_width * hypes.image_height
}

/**
 * The frames of slices in chunks that fill a batch; the next chunk is rendered while the caller works on one.
 * @param tiles all tiles; those of one slice are some of them
 */
export async function* renderAhead(
  volume: HuVolume,
  slices: readonly number[],
  tiles: readonly Tile[],
  tilesOfSlice: (k: number) => readonly Tile[],
  hypes: Hypes,
  batch: number,
): AsyncGenerator<Chunk> {
  const few = Math.min(CHUNK, Math.floor(CHUNK_FRAMES / tiles.length))
  const size = Math.min(slices.length, Math.max(1, few, Math.ceil(batch / tiles.length)))
  const bytes = frameBytes(hypes)
  const buffers = [0, 1].map(() => new Uint8Array(size * tiles.length * bytes))
  const render = async (start: number): Promise<Chunk> => {
    const chunk = slices.slice(start, start + size)
    const wanted = new Map(chunk.map((k) => [k, new Set(tilesOfSlice(k))]))
    const frames = buffers.shift()!
    buffers.push(frames)
    const places: FramePlace[] = []
    // Tile by tile: slices that show the same tile share their neighbors' planes.
    for (const tile of tiles) {
      const those = chunk.filter((k) => wanted.get(k)!.has(tile))
      if (those.length === 0) continue
      const style = {
        mapping: tile.mapping,
        window: hypesWindow(hypes),
        neighborMm: hypes.data.neighbor_mm,
        channels: hypes.data.channels,
        layout: 'NCHW' as const,
      }
      const from = places.length * bytes
      await renderSliceFrames(volume, those, style, frames.subarray(from, from + those.length * bytes))
      append(
        places,
        those.map((k) => ({ k, tile })),
      )
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
