import type { Donor } from './donor.js'

/** How a donor is turned: mirrored first, then rotated in the slice (from x towards y). */
export interface Turn {
  angle: number
  mirrorX: boolean
  mirrorY: boolean
  mirrorZ: boolean
}

/** A donor on the voxels of its new scan, around a voxel that is its middle. */
export interface Patch {
  /** Voxels of the block: slices, rows, columns; each odd, the middle one is the center. */
  shape: readonly [number, number, number]
  hu: Float32Array
  alpha: Float32Array
  /** 1 where the consensus holds at least half of the voxel. */
  mask: Uint8Array
}

/** A direction in the donor's slice (x, y) after the turn. */
export function turnDirection([x, y]: readonly [number, number], turn: Turn): [number, number] {
  const u = turn.mirrorX ? -x : x
  const v = turn.mirrorY ? -y : y
  const [c, s] = [Math.cos(turn.angle), Math.sin(turn.angle)]
  return [u * c - v * s, u * s + v * c]
}

/**
 * Resamples a donor: trilinear, in true size on all axes, the same turn for all slices. Where the scan's slices are
 * thicker than the donor's, they average over their thickness. Beyond its first and last slice, of which nothing is
 * known, the donor fades out within one slice distance.
 * @param spacing of the scan, mm, [z, y, x]
 */
export function turnDonor(donor: Donor, spacing: readonly [number, number, number], turn: Turn): Patch {
  const [slices, height, width] = donor.shape
  const [dz, dy, dx] = donor.spacing
  const [ck, cj, ci] = donor.center
  const radius = Math.hypot(width * dx, height * dy) / 2
  const reach = (Math.max(ck, slices - 1 - ck) + 1) * dz
  const half = [Math.ceil(reach / spacing[0]), Math.ceil(radius / spacing[1]), Math.ceil(radius / spacing[2])]
  const shape = half.map((n) => 2 * n + 1) as unknown as Patch['shape']
  const length = shape[0] * shape[1] * shape[2]
  const patch: Patch = {
    shape,
    hu: new Float32Array(length),
    alpha: new Float32Array(length),
    mask: new Uint8Array(length),
  }
  const samples = Math.max(1, Math.ceil(spacing[0] / dz - 1e-6))
  const [c, s] = [Math.cos(turn.angle), Math.sin(turn.angle)]
  for (let k = 0, at = 0; k < shape[0]; k++) {
    for (let j = 0; j < shape[1]; j++) {
      for (let i = 0; i < shape[2]; i++, at++) {
        const x = (i - half[2]!) * spacing[2]
        const y = (j - half[1]!) * spacing[1]
        const column = ci + ((turn.mirrorX ? -1 : 1) * (x * c + y * s)) / dx
        const row = cj + ((turn.mirrorY ? -1 : 1) * (y * c - x * s)) / dy
        if (column < 0 || row < 0 || column > width - 1 || row > height - 1) continue
        let [hu, alpha, mask, weight] = [0, 0, 0, 0]
        for (let n = 0; n < samples; n++) {
          const z = (k - half[0]! + (n + 0.5) / samples - 0.5) * spacing[0]
          const slice = ck + ((turn.mirrorZ ? -1 : 1) * z) / dz
          const taken = sample(donor.alpha, donor.shape, slice, row, column, false)
          if (taken === 0) continue
          hu += taken * sample(donor.hu, donor.shape, slice, row, column, true)
          weight += taken
          alpha += taken / samples
          mask += sample(donor.mask, donor.shape, slice, row, column, false) / samples
        }
        if (weight === 0) continue
        patch.hu[at] = hu / weight
        patch.alpha[at] = alpha
        patch.mask[at] = mask >= 0.5 ? 1 : 0
      }
    }
  }
  return patch
}

/** Trilinear. Beyond the first and last slice: their values go on (`hold`), or are 0 one slice on. */
function sample(
  data: Float32Array,
  [slices, height, width]: readonly [number, number, number],
  k: number,
  j: number,
  i: number,
  hold: boolean,
): number {
  const k0 = Math.floor(k)
  const j0 = Math.min(Math.floor(j), height - 2)
  const i0 = Math.min(Math.floor(i), width - 2)
  const [fk, fj, fi] = [k - k0, j - j0, i - i0]
  const plane = (slice: number): number => {
    if (slice < 0 || slice >= slices) {
      if (!hold) return 0
      slice = slice < 0 ? 0 : slices - 1
    }
    const at = (slice * height + j0) * width + i0
    const upper = data[at]! * (1 - fi) + data[at + 1]! * fi
    const lower = data[at + width]! * (1 - fi) + data[at + width + 1]! * fi
    return upper * (1 - fj) + lower * fj
  }
  return plane(k0) * (1 - fk) + plane(k0 + 1) * fk
}
