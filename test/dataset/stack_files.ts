import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { STACK_SIDE } from '../../src/dataset/stacks/read_stack.js'

/** A made-up stack: a ball in lung tissue, on which the readers agree but for a rim that only one of them drew. */
export interface SmallStack {
  patient: string
  nodule?: string
  series?: string
  slices?: number
  /** Voxels. */
  radius?: number
  readers?: number
  pixelSpacing?: number
  sliceSpacing?: number | ''
  zOfAnchor?: number
  x0?: number
  y0?: number
  /** Soft tissue from this column on. */
  wallAt?: number
}

export const HEAD =
  'patient,nodule,row,slice,steps_from_anchor,series,sop_of_anchor,z_of_anchor,x0,y0,pixel_spacing,slice_spacing,scale,offset,readers,pixels'
export const SCALE = 8
export const OFFSET = -1000
/** Gray levels of the pictures. */
const TISSUE = 18
const SOFT = 130
export const CENTER = { x: 60, y: 66 }

/** Rows of index.csv, and the pictures as gray values. */
export function makeStack(stack: SmallStack): { rows: string[]; gray: Uint8Array; readers: Uint8Array } {
  const slices = stack.slices ?? 5
  const radius = stack.radius ?? 6
  const pixels = STACK_SIDE * STACK_SIDE
  const gray = new Uint8Array(slices * pixels)
  const readers = new Uint8Array(slices * pixels)
  const middle = (slices - 1) / 2
  for (let k = 0; k < slices; k++) {
    const across = radius * Math.sqrt(1 - (0.8 * (k - middle)) ** 2 / (middle + 0.5) ** 2)
    for (let n = 0; n < pixels; n++) {
      const x = n % STACK_SIDE
      const distance = Math.hypot(x - CENTER.x, Math.floor(n / STACK_SIDE) - CENTER.y)
      // A texture that repeats stands for noise.
      const tissue = TISSUE + ((n * 7 + k * 3) % 5)
      const isSoft = distance <= across || x >= (stack.wallAt ?? STACK_SIDE)
      gray[k * pixels + n] = isSoft ? SOFT : tissue
      readers[k * pixels + n] = distance <= across ? (stack.readers ?? 4) : distance <= across + 2 ? 1 : 0
    }
  }
  const rows = Array.from({ length: slices }, (_, k) =>
    [
      ...[stack.patient, stack.nodule ?? 'nodule-0', k, k, k - Math.floor(middle)],
      ...[stack.series ?? `1.2.${stack.patient.replace(/\D/g, '')}`, '', stack.zOfAnchor ?? -100],
      ...[stack.x0 ?? 200, stack.y0 ?? 150, stack.pixelSpacing ?? 0.7, stack.sliceSpacing ?? 2.5],
      ...[SCALE, OFFSET, 4, 10],
    ].join(','),
  )
  return { rows, gray, readers }
}

/** Writes a folder of stacks, with the line ends of the real one. */
export async function writeStacks(folder: string, stacks: readonly SmallStack[]): Promise<void> {
  mkdirSync(join(folder, 'stacks'), { recursive: true })
  const lines = [HEAD]
  for (const stack of stacks) {
    const { rows, gray, readers } = makeStack(stack)
    lines.push(...rows)
    const stem = join(folder, 'stacks', `${stack.patient}_${stack.nodule ?? 'nodule-0'}`)
    const raw = { width: STACK_SIDE, height: gray.length / STACK_SIDE, channels: 1 } as const
    writeFileSync(`${stem}.webp`, await sharp(gray, { raw }).webp({ lossless: true, effort: 0 }).toBuffer())
    writeFileSync(`${stem}_readers.png`, await sharp(readers, { raw }).png().toBuffer())
  }
  writeFileSync(join(folder, 'index.csv'), `${lines.join('\r\n')}\r\n`)
}
