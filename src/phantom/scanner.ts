import type { Random } from '../random.js'

/** How a scanner and its reconstruction make an image, and how its files hold it. */
export interface Scanner {
  /** The vendor that it resembles. */
  like: string
  /** Convolution Kernel (0018,1210). */
  kernel: string
  sharp: boolean
  /** Width over which an edge fades, mm. */
  edge: number
  /** Grain of the noise (deviation of its blur), mm. */
  grain: number
  /** Noise, compared with a standard kernel at the same dose. */
  gain: number
  /** Rescale Intercept (0028,1052). */
  intercept: number
  /** 12 bits unsigned instead of 16 bits signed. */
  unsigned: boolean
  /** Stored value outside the reconstructed circle; undefined where the files hold plain air there. */
  padding: number | undefined
}

export const scanners: readonly Scanner[] = [
  scanner('GE', 'STANDARD', { edge: 1.1, grain: 0.62, gain: 1, intercept: -1024, padding: -2000 }),
  scanner('GE', 'LUNG', { edge: 0.85, grain: 0.42, gain: 1.9, intercept: -1024, padding: -2000 }),
  scanner('SIEMENS', 'B30f', { edge: 1.25, grain: 0.75, gain: 0.9, intercept: -1024, unsigned: true }),
  scanner('SIEMENS', 'B50f', { edge: 0.9, grain: 0.48, gain: 1.6, intercept: -1024, unsigned: true }),
  scanner('Philips', 'B', { edge: 1.15, grain: 0.66, gain: 1, intercept: -1000, unsigned: true }),
  scanner('Philips', 'D', { edge: 0.88, grain: 0.45, gain: 1.7, intercept: -1000, unsigned: true }),
  scanner('TOSHIBA', 'FC10', { edge: 1.2, grain: 0.7, gain: 0.95, intercept: 0 }),
]

function scanner(
  like: string,
  kernel: string,
  o: Pick<Scanner, 'edge' | 'grain' | 'gain' | 'intercept'> & { unsigned?: boolean; padding?: number },
): Scanner {
  return {
    like,
    kernel,
    sharp: o.gain > 1.3,
    edge: o.edge,
    grain: o.grain,
    gain: o.gain,
    intercept: o.intercept,
    unsigned: o.unsigned ?? false,
    padding: o.padding,
  }
}

/** Kernels by name, for options. */
export const kernelNames: readonly string[] = scanners.map((s) => s.kernel)

/** A scanner at random: mostly standard kernels; with `sharp`, as many sharp ones. */
export function drawScanner(random: Random, sharp: boolean): Scanner {
  const wantSharp = random.uniform() < (sharp ? 0.5 : 0.2)
  const choices = scanners.filter((s) => s.sharp === wantSharp)
  return choices[random.integer(choices.length)]!
}

/** Lowest and highest HU that the files can hold. */
export function huRange(s: Scanner): readonly [number, number] {
  return [
    Math.max(-1024, s.intercept - (s.unsigned ? 0 : 32768)),
    s.unsigned ? Math.min(3071, s.intercept + 4095) : 3071,
  ]
}
