import { findParts, largestPart, partMask, type Grid } from '../volume/lungs/grid.js'
import type { HuVolume } from '../volume/hu_volume.js'
import type { Lungs } from '../volume/lungs/types.js'
import { lungSlices, planePanel, slicePanel, tilePanels } from './montage.js'
import { lungWindow, windowToGray } from '../volume/window.js'

type Color = readonly [number, number, number]

/** What a voxel is, by where it lies and its HU: [low, high). */
export interface TissueClass {
  name: string
  inLungs: boolean
  low: number
  high: number
  color: Color
}

/** Classes by HU, in the lungs and in the rest of the body. Contrast agent makes blood look like thin bone. */
export const tissueClasses: readonly TissueClass[] = [
  { name: 'emphysema, airways in the lungs', inLungs: true, low: -32768, high: -950, color: [20, 40, 120] },
  { name: 'parenchyma', inLungs: true, low: -950, high: -700, color: [70, 130, 200] },
  { name: 'dense parenchyma, edges', inLungs: true, low: -700, high: -300, color: [150, 110, 210] },
  { name: 'vessels, nodules', inLungs: true, low: -300, high: 32768, color: [230, 60, 60] },
  { name: 'airways, gas', inLungs: false, low: -32768, high: -300, color: [70, 220, 220] },
  { name: 'fat', inLungs: false, low: -300, high: -30, color: [225, 195, 90] },
  { name: 'muscle, organs', inLungs: false, low: -30, high: 130, color: [165, 95, 80] },
  { name: 'blood with contrast, spongy bone', inLungs: false, low: 130, high: 300, color: [240, 150, 70] },
  { name: 'bone', inLungs: false, low: 300, high: 32768, color: [245, 245, 235] },
]

/** 1 in the body on one axial slice: the largest part that is not air open to the image's border. */
export function bodyOnSlice(volume: HuVolume, k: number): Uint8Array {
  const [, ny, nx] = volume.shape
  const hu = volume.data.subarray(k * ny * nx, (k + 1) * ny * nx)
  const grid = (data: Uint8Array): Grid => ({ data, shape: [1, ny, nx], spacing: volume.geometry.spacing })
  const air = new Uint8Array(ny * nx)
  for (let n = 0; n < air.length; n++) air[n] = hu[n]! < -300 ? 1 : 0
  const parts = findParts(grid(air))
  const open = new Uint8Array(parts.sizes.length)
  for (let run = 0; run < parts.labels.length; run++) {
    const start = parts.starts[run]!
    const end = parts.ends[run]!
    if (start < nx || end > nx * (ny - 1) || start % nx === 0 || end % nx === 0) open[parts.labels[run]!] = 1
  }
  const rest = new Uint8Array(ny * nx).fill(1)
  for (let run = 0; run < parts.labels.length; run++)
    if (open[parts.labels[run]!] === 1) rest.fill(0, parts.starts[run], parts.ends[run])
  const solid = findParts(grid(rest))
  const largest = largestPart(solid)
  return largest > 0 ? partMask(grid(rest), solid, largest).data : rest
}

/** The class of a voxel of the body. */
export function tissueAt(hu: number, inLungs: boolean): TissueClass {
  return tissueClasses.find((one) => one.inLungs === inLungs && hu >= one.low && hu < one.high)!
}

/**
 * An overview of a chest: axial slices and a coronal plane, in gray and colored by HU class, with a legend; a PNG.
 */
export async function anatomyOverview(volume: HuVolume, lungs: Lungs, title: string): Promise<Buffer> {
  const [nz, ny, nx] = volume.shape
  const slices = lungSlices(lungs.box, 4)
  const gray = (hu: number): Color => {
    const level = windowToGray(hu, ...lungWindow)
    return [level, level, level]
  }
  const upper = []
  const lower = []
  for (const k of slices) {
    const body = bodyOnSlice(volume, k)
    upper.push({ image: await slicePanel(volume, k, gray), label: `slice ${k}` })
    lower.push({
      image: await slicePanel(volume, k, (hu, index) =>
        body[index - k * ny * nx] === 1 ? tissueAt(hu, lungs.mask[index] === 1).color : [0, 0, 0],
      ),
    })
  }
  // The coronal plane through the middle of the lungs, head up.
  const j = Math.min(ny - 1, Math.floor((lungs.box.y[0] + lungs.box.y[1]) / 2))
  const headFirst = volume.geometry.sliceDirection[2] >= 0
  const bodies = Array.from({ length: nz }, (_, k) => bodyOnSlice(volume, k).subarray(j * nx, (j + 1) * nx))
  const plane = { width: nx, height: nz, dx: volume.geometry.spacing[2], dy: volume.geometry.spacing[0] }
  const at = (x: number, y: number): { k: number; index: number } => {
    const k = headFirst ? nz - 1 - y : y
    return { k, index: (k * ny + j) * nx + x }
  }
  upper.push({
    image: await planePanel(plane, (x, y) => gray(volume.data[at(x, y).index]!)),
    label: `coronal, row ${j}`,
  })
  lower.push({
    image: await planePanel(plane, (x, y) => {
      const { k, index } = at(x, y)
      return bodies[k]![x] === 1 ? tissueAt(volume.data[index]!, lungs.mask[index] === 1).color : [0, 0, 0]
    }),
  })
  return tilePanels([[...upper, await legend()], lower], title)
}

/** The colors and their names, as one panel. */
async function legend(): Promise<{ image: Buffer; label: string }> {
  const line = 14
  const image = await planePanel({ width: 256, height: 256, dx: 1, dy: 1 }, (x, y) => {
    const row = Math.floor((y - 4) / line)
    const one = row >= 0 ? tissueClasses[row] : undefined
    return one !== undefined && x >= 236 && x < 252 && (y - 4) % line < line - 3 ? one.color : [0, 0, 0]
  })
  return { image, label: tissueClasses.map((one) => one.name).join('\n') }
}
