/** The weights that a new run starts from. */
import { NoduleError } from '../errors.js'
import type { Detector } from '../model/detector.js'
import { fitBackbone, namesOf, openWeights, readBackbone } from '../weights/index.js'
import type { WeightsFile } from '../weights/index.js'
import { loadCheckpoint, restoreVariables } from '../checkpoints/checkpoint.js'
import { restoreModel } from './other_hypes.js'

/**
 * Weights to start from: solver.weights, a checkpoint of this package or of another that holds the backbone, else
 * slim_ckpt, which is of the backbone alone. Throws NoduleError (FILE, FORMAT, UNSUPPORTED).
 * @param near finds the file that the hypes name
 * @returns the names of the weights that it gave values
 */
export async function loadStart(
  detector: Detector,
  near: (path: string) => string,
  onWarning?: (warning: string) => void,
): Promise<ReadonlySet<string>> {
  const { hypes } = detector
  const key = hypes.solver.weights === '' ? 'slim_ckpt' : 'solver.weights'
  const named = hypes.solver.weights === '' ? hypes.slim_ckpt : hypes.solver.weights
  if (named === '') return new Set()
  const path = near(named)
  const file = await open(path, key)
  try {
    if (key !== 'solver.weights' || !isOwn(file)) return await loadBackbone(detector, file, onWarning)
    restoreModel(detector, await loadCheckpoint(path), path, onWarning)
    return new Set(detector.weights.keys())
  } finally {
    await file.close()
  }
}

/** A missing file says how to go on without. */
async function open(path: string, key: string): Promise<WeightsFile> {
  try {
    return await openWeights(path)
  } catch (error) {
    const reason = error instanceof NoduleError && error.code === 'FILE' ? error.cause : undefined
    if (!(reason instanceof Error && 'code' in reason && reason.code === 'ENOENT')) throw error
    throw new NoduleError(
      'FILE',
      'no such file of weights: neither beside the hypes file, nor in the working directory or its data/',
      {
        path,
        place: key,
        expected: 'a file',
        actual: 'nothing',
        remedies: [{ do: 'start from random weights', parameter: 'set', value: `${key}=` }],
        cause: error,
      },
    )
  }
}

/** Whether a file is a checkpoint of this package: with the decoder. */
function isOwn(file: WeightsFile): boolean {
  return (
    file.format === 'safetensors' &&
    [...file.tensors.keys()].some((name) => name.startsWith('model/decoder/'))
  )
}

/** The backbone's variables; what the file holds beside them is told, as in TF-slim's checkpoints the logits are. */
async function loadBackbone(
  detector: Detector,
  file: WeightsFile,
  onWarning?: (warning: string) => void,
): Promise<ReadonlySet<string>> {
  const fit = fitBackbone(file, detector.hypes.slim_basename, detector.graph)
  const tensors = await readBackbone(file, fit)
  const names = new Set(tensors.keys())
  restoreVariables(new Map([...detector.weights].filter(([name]) => names.has(name))), tensors, '', file.path)
  const constant = fit.constant.map(({ name }) => name)
  const parts = [`${fit.found.length} variables of ${fit.backbone} from ${file.format}`]
  if (constant.length > 0) parts.push(`${constant.length} scales of batch norms are 1: the file has none`)
  if (fit.leftOver.length > 0) parts.push(`left over: ${namesOf(fit.leftOver)}`)
  onWarning?.(`${file.path}: ${parts.join('; ')}`)
  return names
}
