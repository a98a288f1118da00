import { parseHypes } from '../config/hypes.js'
import { parsePatchHypes } from '../config/patch_hypes.js'
import { withoutFolders } from '../config/without_folders.js'
import { writeFileAtomic } from '../files.js'
import { encodeSafeTensors, readSafeTensors } from '../formats/safetensors.js'
import { sha256 } from '../hash.js'
import { parseJson } from '../json.js'
import { checkFormat } from './checkpoint.js'

export interface Stripped {
  path: string
  bytes: number
  sha256: string
  /** Weights and moving averages. */
  tensors: number
}

/**
 * Writes a checkpoint to be passed on: the weights and moving averages without the optimizer's state and the log's, and
 * without the folders of the machine that it comes from. It can be exported and trained on from (solver.weights), not resumed.
 *
 * @throws NoduleError FILE; FORMAT where it is no checkpoint
 */
export async function stripCheckpoint(path: string, output: string): Promise<Stripped> {
  const { metadata, tensors } = await readSafeTensors(path)
  checkFormat(metadata, path)
  const weights = new Map([...tensors].filter(([name]) => name.startsWith('model/')))
  const parse = metadata['kind'] === 'patches' ? parsePatchHypes : parseHypes
  const given = parseJson(metadata['hypes'] ?? '', path, '__metadata__.hypes')
  const hypes = withoutFolders(parse(given, `${path}: hypes`))
  const kept = Object.entries(metadata).filter(([key]) => key !== 'progress')
  const bytes = encodeSafeTensors({
    metadata: { ...Object.fromEntries(kept), hypes: JSON.stringify(hypes) },
    tensors: weights,
  })
  await writeFileAtomic(output, bytes)
  return { path: output, bytes: bytes.length, sha256: sha256(bytes), tensors: weights.size }
}
