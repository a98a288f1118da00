import { parseHypes } from '../config/hypes.js'
import { parsePatchHypes } from '../config/patch_hypes.js'
import { NoduleError } from '../errors.js'
import { MAX_FILE, decodeSafeTensors, writeSafeTensors } from '../formats/safetensors.js'
import type { HostTensor } from '../formats/safetensors.js'
import { sha256 } from '../hash.js'
import { parseJson } from '../json.js'
import { readRegular } from '../read_files.js'
import { invalidParameter, show } from '../check.js'
import { CHECKPOINT_FORMAT, checkFinite } from './checkpoint.js'
import { otherKeys } from './other_keys.js'

export interface Averaged {
  path: string
  /** SHA-256 of the checkpoints, in order; the file's metadata name them too. */
  sources: string[]
  /** Weights and moving averages. */
  tensors: number
}

/**
 * Writes the mean of several checkpoints of one network: of runs that began alike, it is often better than any of them
 * (Wortsman et al., Model soups, arXiv 2203.05482). The means of batch norms are those of none: some hundred steps at a low
 * rate from there put them right. The file has the last one's hypes, step and seed and no state of an optimizer.
 *
 * @throws NoduleError INVALID_PARAMETER for fewer than two; FILE; FORMAT where they are no checkpoints, not of one network, or hold what is not a
 * number
 */
export async function averageCheckpoints(paths: readonly string[], output: string): Promise<Averaged> {
  if (paths.length < 2) throw invalidParameter('files', 'two checkpoints or more', paths.length)
  const sources: string[] = []
  const sums = new Map<string, { shape: number[]; sum: Float64Array }>()
  let metadata: Record<string, string> = {}
  let hypes: object | undefined
  for (const path of paths) {
    const bytes = await readRegular(path, { action: 'read tensors', limit: MAX_FILE })
    const content = decodeSafeTensors(bytes, path)
    sources.push(sha256(bytes))
    metadata = checkHeader(content.metadata, path, sums.size === 0 ? undefined : metadata)
    const weights = [...content.tensors].filter(([name]) => name.startsWith('model/'))
    if (sums.size > 0) checkSame(weights, sums, path)
    const own = hypesOf(metadata, path)
    checkSameKeys((hypes ??= own), own, path)
    for (const [name, tensor] of weights) {
      checkFinite(tensor, path, name)
      const { shape, data } = tensor
      const { sum } = sums.get(name) ?? { sum: new Float64Array(data.length) }
      for (let n = 0; n < data.length; n++) sum[n]! += data[n]!
      sums.set(name, { shape, sum })
    }
  }
  const tensors = new Map<string, HostTensor>()
  for (const [name, { shape, sum }] of sums)
    tensors.set(name, { shape, data: Float32Array.from(sum, (value) => value / paths.length) })
  // A log that went on from here would be none of either run.
  const kept = Object.entries(metadata).filter(([key]) => key !== 'progress')
  await writeSafeTensors(output, {
    metadata: { ...Object.fromEntries(kept), averaged: JSON.stringify(sources) },
    tensors,
  })
  return { path: output, sources, tensors: tensors.size }
}

function checkHeader(
  metadata: Record<string, string>,
  path: string,
  first: Record<string, string> | undefined,
): Record<string, string> {
  for (const [key, expected] of [
    ['format', CHECKPOINT_FORMAT],
    ['kind', first?.['kind']],
  ] as const)
    if (expected !== undefined && metadata[key] !== expected)
      throw new NoduleError('FORMAT', 'not a checkpoint of the same kind', {
        path,
        place: `__metadata__.${key}`,
        expected: `"${expected}"`,
        actual: show(metadata[key]),
      })
  return metadata
}

function hypesOf(metadata: Record<string, string>, path: string): object {
  const parse = metadata['kind'] === 'patches' ? parsePatchHypes : parseHypes
  return parse(parseJson(metadata['hypes'] ?? '', path, '__metadata__.hypes'), `${path}: hypes`)
}

/** Weights of equal shapes may still belong to other factors, such as box_scale. */
function checkSameKeys(first: object, own: object, path: string): void {
  const keys = otherKeys(first, own)
  if (keys.length === 0) return
  throw new NoduleError('FORMAT', 'a checkpoint of another network', {
    path,
    place: keys.map(([key]) => key).join(', '),
    expected: `${keys.map(([key, value]) => `${key} ${value}`).join(', ')}, as in the first`,
    actual: keys.map(([key, , value]) => `${key} ${value}`).join(', '),
  })
}

function checkSame(
  weights: readonly [string, HostTensor][],
  first: ReadonlyMap<string, { shape: number[] }>,
  path: string,
): void {
  const found = new Map(weights.map(([name, { shape }]) => [name, shape.join(' x ')]))
  for (const name of new Set([...first.keys(), ...found.keys()])) {
    const [expected, actual] = [first.get(name)?.shape.join(' x '), found.get(name)]
    if (expected === actual) continue
    throw new NoduleError('FORMAT', 'a checkpoint of another network', {
      path,
      place: name,
      expected: expected ?? 'no such weight, as in the first',
      actual: actual ?? 'none',
    })
  }
}
