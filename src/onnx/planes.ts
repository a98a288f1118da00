/** [height, width, channels] to [channels, height, width]. */
export function toPlanes(frame: Uint8Array, channels: number): Uint8Array {
  const pixels = frame.length / channels
  const planes = new Uint8Array(frame.length)
  for (let i = 0, at = 0; i < pixels; i++)
    for (let c = 0; c < channels; c++, at++) planes[c * pixels + i] = frame[at]!
  return planes
}
