import type { Hypes } from '../../src/config/hypes.js'
import type { ModelMetadata } from '../../src/onnx/metadata.js'
import type { FrameSize, Session } from '../../src/inference/index.js'

const SLOTS = 400

/**
 * A stand-in for a model: every connected bright part of the middle channel is a box; the confidence is how bright it is.
 * @param anyFrame it takes frames of any size
 */
export function diskSession(
  hypes: Hypes,
  anyFrame = false,
): Session & { frames: number; pixels: number; largestBatch: number } {
  const session = {
    path: 'disks.onnx',
    sha256: '',
    hypes,
    metadata: {} as ModelMetadata,
    device: 'cpu' as const,
    threads: 1,
    anyFrame,
    frames: 0,
    pixels: 0,
    largestBatch: 0,
    run: async (
      frames: Uint8Array,
      n: number,
      { width, height }: FrameSize = { width: hypes.image_width, height: hypes.image_height },
    ) => {
      const pixels = width * height
      session.frames += n
      session.pixels += n * pixels
      session.largestBatch = Math.max(session.largestBatch, n)
      const boxes = new Float32Array(n * SLOTS * 4)
      const confidences = new Float32Array(n * SLOTS)
      for (let f = 0; f < n; f++) {
        const from = (f * hypes.data.channels + (hypes.data.channels - 1) / 2) * pixels
        const found = brightParts(frames.subarray(from, from + pixels), width)
        for (const [slot, { x1, y1, x2, y2, score }] of found.entries()) {
          boxes.set([x1, y1, x2, y2], (f * SLOTS + slot) * 4)
          confidences[f * SLOTS + slot] = score
        }
      }
      return Promise.resolve({ boxes, confidences })
    },
    release: () => Promise.resolve(),
  }
  return session
}

function brightParts(
  plane: Uint8Array,
  width: number,
): { x1: number; y1: number; x2: number; y2: number; score: number }[] {
  const seen = new Uint8Array(plane.length)
  const parts = []
  for (let start = 0; start < plane.length; start++) {
    if (seen[start] === 1 || plane[start]! < 128) continue
    const stack = [start]
    seen[start] = 1
    const part = { x1: width, y1: plane.length, x2: 0, y2: 0, score: 0 }
    while (stack.length > 0) {
      const at = stack.pop()!
      const [x, y] = [at % width, Math.floor(at / width)]
      part.x1 = Math.min(part.x1, x)
      part.x2 = Math.max(part.x2, x + 1)
      part.y1 = Math.min(part.y1, y)
      part.y2 = Math.max(part.y2, y + 1)
      part.score = Math.max(part.score, plane[at]! / 255)
      const next = [at - width, at + width, ...(x > 0 ? [at - 1] : []), ...(x < width - 1 ? [at + 1] : [])]
      for (const n of next) {
        if (n < 0 || n >= plane.length || seen[n] === 1 || plane[n]! < 128) continue
        seen[n] = 1
        stack.push(n)
      }
    }
    parts.push(part)
  }
  return parts
}
