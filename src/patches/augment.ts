import type { PatchHypes } from '../config/patch_hypes.js'
import { createRandom } from '../random.js'
import type { Random } from '../random.js'
import { cubeBytes, cubePlanes } from './cube.js'
import type { CubeGrid, CubeSpec, Reach } from './cube.js'

/** One way of looking at a cube. */
export interface CubeView {
  /** Radians. */
  angle: number
  mirrorX: boolean
  mirrorY: boolean
  mirrorZ: boolean
  /** Above 1: the cube's content looks smaller. */
  scale: number
  /** Pixels of the network's cube. */
  shiftX: number
  shiftY: number
  /** Planes of the network's cube. */
  shiftZ: number
  /** gray = (gray - 127.5) * contrast + 127.5 + brightness, with noise of this standard deviation. */
  contrast: number
  brightness: number
  noise: number
  /** Beyond these distances from the center the plane, column and row there is repeated. */
  reach: Readonly<Reach>
}

/** The cube as it is. */
export const PLAIN_VIEW: Readonly<CubeView> = {
  angle: 0,
  mirrorX: false,
  mirrorY: false,
  mirrorZ: false,
  scale: 1,
  shiftX: 0,
  shiftY: 0,
  shiftZ: 0,
  contrast: 1,
  brightness: 0,
  noise: 0,
  reach: { ends: [Infinity, Infinity], sides: [Infinity, Infinity, Infinity, Infinity] },
}

/** A random view within what the hypes allow; how far it reaches is the caller's. */
export function randomView(augment: PatchHypes['augment'], random: Random): CubeView {
  const within = (limit: number): number => (random.uniform() * 2 - 1) * limit
  const flip = (): boolean => random.uniform() < 0.5 && augment.mirror
  return {
    ...PLAIN_VIEW,
    angle: augment.rotate ? random.uniform() * 2 * Math.PI : 0,
    mirrorX: flip(),
    mirrorY: flip(),
    mirrorZ: flip(),
    scale: 1 + within(augment.scale),
    shiftX: within(augment.shift_px),
    shiftY: within(augment.shift_px),
    shiftZ: within(augment.shift_planes),
    contrast: 1 + within(augment.gray_scale),
    brightness: within(augment.gray_shift) * 255,
    noise: random.uniform() * augment.noise * 255,
  }
}

/** How much larger stored cubes are than the network's, so that turned and shifted views find something. */
const STORED_SIDE = 1.5
const STORED_PLANES = 2

/** The cubes that are stored for training: more planes and wider ones, on the same grid. */
export function storedSpec(spec: CubeSpec): CubeSpec {
  const wider = (grid: CubeGrid): CubeGrid => {
    const side = Math.ceil(grid.size * STORED_SIDE)
    // The same parity: a plain view then takes pixels as they are.
    return { ...grid, planes: grid.planes + STORED_PLANES, size: side + ((side - grid.size) % 2) }
  }
  return {
    ...spec,
    fine: wider(spec.fine),
    ...(spec.coarse === undefined ? {} : { coarse: wider(spec.coarse) }),
  }
}

/** The network's cube out of a stored one, as bytes: [planes, size, size]. */
export function innerCube(stored: Uint8Array, spec: CubeSpec): Uint8Array {
  const source = storedSpec(spec)
  const cube = new Uint8Array(cubeBytes(spec))
  let from = 0
  let to = 0
  for (const [outer, inner] of [
    [source.fine, spec.fine],
    ...(source.coarse === undefined || spec.coarse === undefined ? [] : [[source.coarse, spec.coarse]]),
  ] as [CubeGrid, CubeGrid][]) {
    const rim = (outer.size - inner.size) / 2
    const below = (outer.planes - inner.planes) / 2
    for (let plane = 0; plane < inner.planes; plane++) {
      for (let row = 0; row < inner.size; row++) {
        const start = from + ((plane + below) * outer.size + row + rim) * outer.size + rim
        cube.set(stored.subarray(start, start + inner.size), to)
        to += inner.size
      }
    }
    from += outer.planes * outer.size ** 2
  }
  return cube
}

/** Normal numbers to draw noise from: computing 20,000 a cube would take longer than the network. */
const NOISE_LENGTH = 1 << 16
let noiseTable: Float32Array | undefined

function noiseNumbers(): Float32Array {
  const source = createRandom(1)
  return (noiseTable ??= Float32Array.from({ length: NOISE_LENGTH }, () => source.normal()))
}

/**
 * Renders a view of a stored cube, trilinear; what lies outside of it is its border.
 * @param stored gray levels of `storedSpec(spec)`
 * @param out gray levels 0..255, [size, size, planes]
 */
export function renderView(
  stored: Uint8Array,
  spec: CubeSpec,
  view: CubeView,
  random: Random | undefined,
  out: Float32Array,
): void {
  const source = storedSpec(spec)
  const planes = cubePlanes(spec)
  renderGrid(stored, source.fine, spec.fine, view, out, 0, planes)
  if (spec.coarse !== undefined && source.coarse !== undefined) {
    const coarse = stored.subarray(source.fine.planes * source.fine.size ** 2)
    // A shift is the same distance in the patient, whatever the grid.
    const part = spec.fine.pixelMm / spec.coarse.pixelMm
    const moved = {
      ...view,
      shiftX: view.shiftX * part,
      shiftY: view.shiftY * part,
      shiftZ: (view.shiftZ * spec.fine.planeMm) / spec.coarse.planeMm,
    }
    renderGrid(coarse, source.coarse, spec.coarse, moved, out, spec.fine.planes, planes)
  }
  const { contrast, brightness, noise } = view
  const noisy = noise > 0 && random !== undefined
  if (contrast === 1 && brightness === 0 && !noisy) return
  const table = noisy ? noiseNumbers() : undefined
  let at = noisy ? random.integer(NOISE_LENGTH) : 0
  const offset = 127.5 * (1 - contrast) + brightness
  for (let n = 0; n < out.length; n++) {
    let gray = out[n]! * contrast + offset
    if (table !== undefined) {
      gray += table[at]! * noise
      at = (at + 1) & (NOISE_LENGTH - 1)
    }
    out[n] = gray < 0 ? 0 : gray > 255 ? 255 : gray
  }
}

/** Writes the planes of one grid as the channels from `channel` on. */
function renderGrid(
  stored: Uint8Array,
  from: CubeGrid,
  grid: CubeGrid,
  view: CubeView,
  out: Float32Array,
  channel: number,
  channels: number,
): void {
  const { size, planes } = grid
  const side = from.size
  const half = (size - 1) / 2
  const center = (side - 1) / 2
  const cos = Math.cos(view.angle) * view.scale
  const sin = Math.sin(view.angle) * view.scale
  const pixels = size * size
  const [left, right, top, bottom] = view.reach.sides
  const [lowX, highX] = pixelsWithin(left, right, from)
  const [lowY, highY] = pixelsWithin(top, bottom, from)
  // The upper left neighbor and two weights of each pixel, the same on all planes.
  const base = new Int32Array(pixels)
  const partX = new Float32Array(pixels)
  const partY = new Float32Array(pixels)
  for (let row = 0, n = 0; row < size; row++) {
    const y = view.mirrorY ? half - row : row - half
    for (let column = 0; column < size; column++, n++) {
      const x = view.mirrorX ? half - column : column - half
      const u = clamp(cos * x - sin * y + view.shiftX + center, lowX, highX)
      const v = clamp(sin * x + cos * y + view.shiftY + center, lowY, highY)
      const column0 = Math.min(Math.floor(u), side - 2)
      const row0 = Math.min(Math.floor(v), side - 2)
      base[n] = row0 * side + column0
      partX[n] = u - column0
      partY[n] = v - row0
    }
  }
  const middle = (from.planes - 1) / 2
  const [below, above] = view.reach.ends
  for (let plane = 0; plane < planes; plane++) {
    const step = (plane - (planes - 1) / 2) * (view.mirrorZ ? -1 : 1)
    const z = (step * view.scale + view.shiftZ) * grid.planeMm
    const at = clamp(clamp(z, -below, above) / grid.planeMm + middle, 0, from.planes - 1)
    const low = Math.floor(at)
    const part = at - low
    const first = low * side * side
    const second = Math.min(low + 1, from.planes - 1) * side * side
    for (let n = 0, target = channel + plane; n < pixels; n++, target += channels) {
      const a = first + base[n]!
      const px = partX[n]!
      const py = partY[n]!
      const b = a + side
      const near =
        (stored[a]! * (1 - px) + stored[a + 1]! * px) * (1 - py) +
        (stored[b]! * (1 - px) + stored[b + 1]! * px) * py
      if (part === 0) {
        out[target] = near
        continue
      }
      const c = second + base[n]!
      const d = c + side
      const far =
        (stored[c]! * (1 - px) + stored[c + 1]! * px) * (1 - py) +
        (stored[d]! * (1 - px) + stored[d + 1]! * px) * py
      out[target] = near + (far - near) * part
    }
  }
}

/** First and last pixel of a stored line whose centers lie within these distances from its middle. */
function pixelsWithin(beforeMm: number, behindMm: number, { size, pixelMm }: CubeGrid): [number, number] {
  const center = (size - 1) / 2
  const low = Math.max(0, Math.ceil(center - beforeMm / pixelMm))
  const high = Math.min(size - 1, Math.floor(center + behindMm / pixelMm))
  // Where there is nothing between, the pixel at the middle.
  return low <= high ? [low, high] : [Math.floor(center), Math.floor(center)]
}

function clamp(value: number, low: number, high: number): number {
  return value < low ? low : value > high ? high : value
}
