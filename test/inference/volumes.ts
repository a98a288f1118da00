import { createRandom } from '../../src/random.js'
import type { HuVolume } from '../../src/volume/index.js'
import { TILE } from './tile_hypes.js'

/** A volume of air-filled lung with bright balls, mm apart that no two touch. */
export function ballVolume(seed: number, shape: readonly [number, number, number] = [6, 230, 330]): HuVolume {
  const [slices, rows, columns] = shape
  const random = createRandom(seed)
  const data = new Int16Array(slices * rows * columns).fill(-850)
  const balls: { x: number; y: number; r: number }[] = []
  for (let n = 0; n < 200 && balls.length < 24; n++) {
    const r = 2 + random.uniform() * 15
    const x = r + 1 + random.uniform() * (columns - 2 * r - 2)
    const y = r + 1 + random.uniform() * (rows - 2 * r - 2)
    if (balls.every((b) => Math.max(Math.abs(x - b.x), Math.abs(y - b.y)) > r + b.r + 3))
      balls.push({ x, y, r })
  }
  for (const { x, y, r } of balls)
    for (let k = 0; k < slices; k++)
      for (let j = Math.floor(y - r); j <= y + r; j++)
        for (let i = Math.floor(x - r); i <= x + r; i++)
          if (Math.hypot(i + 0.5 - x, j + 0.5 - y) <= r) data[(k * rows + j) * columns + i] = 100 + 10 * k
  return {
    data,
    shape,
    geometry: {
      origin: [0, 0, 0],
      rowDirection: [1, 0, 0],
      columnDirection: [0, 1, 0],
      sliceDirection: [0, 0, 1],
      spacing: [1, TILE.mm, TILE.mm],
      slicePositions: Array.from({ length: slices }, (_, k) => k),
    },
    sopInstanceUids: Array.from({ length: slices }, (_, k) => `1.${k}`),
    seriesInstanceUid: '1',
    patientId: 'BALLS',
  }
}

/** A body with two lungs (-850 HU) that narrow towards the first and last slice. */
export function chestVolume([slices, rows, columns]: readonly [number, number, number]): HuVolume {
  const data = new Int16Array(slices * rows * columns).fill(-1000)
  for (let k = 0; k < slices; k++)
    for (let j = 0; j < rows; j++)
      for (let i = 0; i < columns; i++) {
        const [x, y, z] = [i - 120, j - 100, (k - 11.5) / 11]
        const reach = Math.sqrt(Math.max(0, 1 - z * z))
        const body = (x / 110) ** 2 + (y / 85) ** 2 < 1
        const lung = [-50, 50].some((c) => ((x - c) / 40) ** 2 + (y / 60) ** 2 < reach ** 2)
        if (body) data[(k * rows + j) * columns + i] = lung ? -850 : 40
      }
  return {
    ...ballVolume(1, [slices, 1, 1]),
    data,
    shape: [slices, rows, columns],
    geometry: {
      ...ballVolume(1, [slices, 1, 1]).geometry,
      spacing: [10, 1.5, 1.5],
      slicePositions: Array.from({ length: slices }, (_, k) => 10 * k),
    },
  }
}
