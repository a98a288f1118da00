import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parsePatchHypes } from '../../src/config/patch_hypes.js'
import type { PatchHypes } from '../../src/config/patch_hypes.js'
import { CUBES_FORMAT, cubeSpec, sampleCubes, storedSpec, writeCubes } from '../../src/patches/index.js'
import type { CubeRecord } from '../../src/patches/index.js'
import { createRandom } from '../../src/random.js'
import { volumeOf } from './volumes.js'

/** Hypes of a network that learns in seconds. */
export const SMALL = {
  kind: 'patches',
  cube: { planes: 5, plane_mm: 2, size: 16, pixel_mm: 1 },
  widths: [8, 16],
  dense: 16,
  batch_size: 16,
  batch_norm_momentum: 0.8,
  logging: { display_iter: 20, test_iter: 40, save_iter: 1000 },
  solver: { learning_rate: 0.01, warmup_steps: 5, max_iter: 120, ema_decay: 0.9 },
}

export function smallHypes(changes: object = {}): PatchHypes {
  return parsePatchHypes({ ...SMALL, ...changes })
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'nodule-patches-'))
}

export function writeHypes(folder: string, changes: object = {}): string {
  const path = join(folder, 'hypes.json')
  writeFileSync(path, JSON.stringify({ ...SMALL, ...changes }))
  return path
}

/** A ball (a nodule) or a rod along z (a vessel) in noise, as a cube of 16 mm. */
export async function writeSmallCubes(
  folder: string,
  count: number,
  seed: number,
  records: (n: number, ball: boolean) => Partial<CubeRecord> = () => ({}),
  hypes = smallHypes(),
  about: (n: number) => object = () => ({}),
): Promise<string> {
  const spec = storedSpec(cubeSpec(hypes))
  const header = { format: CUBES_FORMAT, spec, model: 'first', parameters: {} } as const
  const writer = await writeCubes(folder, header, { resume: false })
  for (let n = 0; n < count; n++) {
    const random = createRandom(seed).fork(`cube ${n}`)
    const ball = n % 2 === 0
    const radius = 2.5 + 2 * random.uniform()
    const volume = volumeOf(
      [15, 32, 32],
      Array.from({ length: 15 }, (_, k) => 2 * k),
      [1, 1],
      (k, j, i) => {
        const [z, y, x] = [2 * (k - 7), j - 16, i - 16]
        const inside = Math.hypot(y, x, ball ? z : 0) < radius
        return (inside ? 0 : -850) + 60 * random.normal()
      },
    )
    const record: CubeRecord = {
      reason: ball ? 'nodule' : 'mark',
      labels: { nodule: ball ? 1 : 0 },
      center: [0, 0, 0],
      voxel: [7, 16, 16],
      ...(ball ? { finding: 'a' } : { score: 0.5 }),
      ...records(n, ball),
    }
    const source = {
      key: `${seed} ${n}`,
      patientId: `P${n}`,
      seriesInstanceUid: `1.${n}`,
      origin: 'phantom',
      cubes: [record],
      ...about(n),
    }
    await writer.add(source, sampleCubes(volume, [[7, 16, 16]], spec))
  }
  await writer.finish()
  return folder
}
