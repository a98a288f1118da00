import { kernelNames } from './scanner.js'
import { checkInteger, checkNumber, invalidParameter } from '../check.js'

/** What a synthetic patient is like. Lengths are mm, CT values HU. */
export interface PhantomOptions {
  /** 32-bit seed of everything that is drawn at random. Default 1. */
  seed?: number
  /** Patient ID (0010,0020). Default PHANTOM-0001. */
  patientId?: string
  /** Rows and columns, 64 to 1024. Default 512. */
  matrix?: number
  /** Distance of the slices, 0.4 to 10. Default 2.5. */
  spacing?: number
  /** Slice thickness, 0.4 to 10; default the distance of the slices. */
  thickness?: number
  /** Slices, centered on the lungs; default as many as cover the lungs with a margin. */
  slices?: number
  /** Nodules of 3 mm and more: a count, or [low, high] to draw it from. Default [2, 6]. */
  nodules?: number | readonly [number, number]
  /** Diameters of the nodules, [low, high]. Default [4, 30]; hard: [3.2, 14]; also for a bound that is left out. */
  diameter?: readonly [number | undefined, number | undefined]
  /** Intravenous contrast agent; default drawn at random. */
  contrast?: boolean
  /** Standard deviation of the noise inside the body; default from the kernel, the slice thickness and a dose at random. */
  noise?: number
  /** Convolution kernel, one of `kernelNames`; default drawn at random, mostly a standard one. */
  kernel?: string
  /** Small and faint nodules, mostly at vessels and pleura; low dose, sharp kernels, more of what is no nodule. */
  hard?: boolean
}

/** The names of the options. */
export const PHANTOM_KEYS: Readonly<Record<keyof PhantomOptions, true>> = {
  ...{ seed: true, patientId: true, matrix: true, spacing: true, thickness: true, slices: true },
  ...{ nodules: true, diameter: true, contrast: true, noise: true, kernel: true, hard: true },
}

/** Options with every default filled in, but for what the seed decides. */
export interface CheckedOptions {
  seed: number
  patientId: string
  matrix: number
  spacing: number
  thickness: number
  slices: number | undefined
  nodules: readonly [number, number]
  diameter: readonly [number, number]
  contrast: boolean | undefined
  noise: number | undefined
  kernel: string | undefined
  hard: boolean
}

/** Throws NoduleError INVALID_PARAMETER for a value out of range. */
export function checkOptions(o: PhantomOptions): CheckedOptions {
  const spacing = checkNumber('spacing', o.spacing ?? 2.5, 0.4, 10)
  const patientId = o.patientId ?? 'PHANTOM-0001'
  if (!/^[\w.-]{1,64}$/.test(patientId))
    throw invalidParameter('patientId', '1 to 64 letters, digits, dots, dashes', patientId)
  const nodules = typeof o.nodules === 'number' ? ([o.nodules, o.nodules] as const) : (o.nodules ?? [2, 6])
  checkInteger('nodules[0]', nodules[0], 0, 50)
  checkInteger('nodules[1]', nodules[1], nodules[0], 50)
  const hard = o.hard === true
  const usual = hard ? ([3.2, 14] as const) : ([4, 30] as const)
  const diameter = [o.diameter?.[0] ?? usual[0], o.diameter?.[1] ?? usual[1]] as const
  if (o.kernel !== undefined && !kernelNames.includes(o.kernel))
    throw invalidParameter('kernel', `one of ${kernelNames.join(', ')}`, o.kernel)
  checkNumber('diameter[0]', diameter[0], 3, 60)
  checkNumber('diameter[1]', diameter[1], diameter[0], 60)
  return {
    seed: checkInteger('seed', o.seed ?? 1, 0, 0xffffffff),
    patientId,
    matrix: checkInteger('matrix', o.matrix ?? 512, 64, 1024),
    spacing,
    thickness: checkNumber('thickness', o.thickness ?? spacing, 0.4, 10),
    slices: o.slices === undefined ? undefined : checkInteger('slices', o.slices, 2, 2000),
    nodules,
    diameter,
    contrast: o.contrast,
    noise: o.noise === undefined ? undefined : checkNumber('noise', o.noise, 0, 200),
    kernel: o.kernel,
    hard,
  }
}
