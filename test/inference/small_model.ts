import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseHypes } from '../../src/config/hypes.js'
import type { Hypes } from '../../src/config/hypes.js'
import { buildBackbone } from '../../src/model/backbones/registry.js'
import { initialValues, weightSpecs } from '../../src/model/weights.js'
import { buildModel } from '../../src/onnx/detector.js'
import { encodeModel } from '../../src/onnx/proto.js'
import type { OnnxModel } from '../../src/onnx/proto.js'

export const smallHypes: Hypes = parseHypes({
  slim_basename: 'tiny',
  image_width: 96,
  image_height: 64,
  grid_width: 3,
  grid_height: 2,
  lstm_size: 8,
  rnn_len: 2,
  // Random weights: without these factors every cell would say the same.
  lstm_input_scale: 3,
  rezoom_feature_scale: 0.3,
})

/** A detector with random weights that finds something nearly everywhere. */
export function smallModel(hypes = smallHypes): OnnxModel {
  const tensors = new Map(
    weightSpecs(hypes, buildBackbone(hypes)).map((spec) => [
      spec.name,
      { shape: spec.shape, data: initialValues(spec, 2) },
    ]),
  )
  const metadata = {
    hypes,
    step: 1,
    seed: 2,
    codeVersion: '0',
    checkpointSha256: '',
    precision: 'float32' as const,
  }
  return buildModel(tensors, metadata)
}

/** A new folder with the model in `model.onnx`. */
export async function modelFolder(): Promise<{ folder: string; model: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'nodule-inference-'))
  const model = join(folder, 'model.onnx')
  await writeFile(model, encodeModel(smallModel()))
  return { folder, model }
}
