import { parseHypes } from '../config/hypes.js'
import type { Hypes } from '../config/hypes.js'
import { withoutFolders } from '../config/without_folders.js'
import { show } from '../check.js'
import { NoduleError } from '../errors.js'
import { parseJson } from '../json.js'
import type { OnnxModel } from './proto.js'

/** Value of the `format` property: what an exported model promises about its inputs, outputs and properties. */
export const MODEL_FORMAT = 'nodule-model/1'

/** Where a model comes from; kept in the file's metadata_props. */
export interface ModelMetadata {
  hypes: Hypes
  /** Training step of the checkpoint. */
  step: number
  seed: number
  /** Version of the package that trained the checkpoint. */
  codeVersion: string
  /** SHA-256 of the checkpoint file, hex. */
  checkpointSha256: string
  /** How the weights are stored: "float32", or "int8" after quantization. */
  precision: 'float32' | 'int8'
}

export function metadataProps(metadata: ModelMetadata): { key: string; value: string }[] {
  const values = {
    format: MODEL_FORMAT,
    hypes: JSON.stringify(withoutFolders(metadata.hypes)),
    step: String(metadata.step),
    seed: String(metadata.seed),
    code_version: metadata.codeVersion,
    checkpoint_sha256: metadata.checkpointSha256,
    precision: metadata.precision,
  }
  return Object.entries(values).map(([key, value]) => ({ key, value }))
}

/** Reads the properties back. Throws NoduleError (FORMAT) for a model that nodule did not export. */
export function modelMetadata(model: OnnxModel, path: string): ModelMetadata {
  const props = new Map(model.metadata_props.map(({ key, value }) => [key, value]))
  const text = (key: string): string => {
    const value = props.get(key)
    if (value === undefined)
      throw new NoduleError('FORMAT', 'damaged model', { path, place: 'metadata_props', expected: key })
    return value
  }
  const format = props.get('format')
  if (format !== MODEL_FORMAT) {
    throw new NoduleError('FORMAT', 'not a model that `nodule export` made', {
      path,
      place: 'metadata_props/format',
      expected: JSON.stringify(MODEL_FORMAT),
      actual:
        format === undefined
          ? `no such property (producer "${model.producer_name}")`
          : JSON.stringify(format),
    })
  }
  const hypes = parseJson(text('hypes'), path, 'metadata_props/hypes')
  const number = (key: string): number => {
    const value = text(key)
    if (/^\d{1,15}$/.test(value)) return Number(value)
    throw new NoduleError('FORMAT', 'damaged model', {
      path,
      place: `metadata_props/${key}`,
      expected: 'whole number',
      actual: show(value),
    })
  }
  return {
    hypes: parseHypes(hypes, path),
    step: number('step'),
    seed: number('seed'),
    codeVersion: text('code_version'),
    checkpointSha256: text('checkpoint_sha256'),
    precision: props.get('precision') === 'int8' ? 'int8' : 'float32',
  }
}
