/** [height, width, 3] to [3, height, width]. */
export function toPlanes(frame: Uint8Array): Uint8Array {
  const pixels = frame.length / 3
  const planes = new Uint8Array(frame.length)
  for (let i = 0, at = 0; i < pixels; i++)
    for (let c = 0; c < 3; c++, at++) planes[c * pixels + i] = frame[at]!
  return planes
}
