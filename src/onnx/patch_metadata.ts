import { show } from '../check.js'
import { parsePatchHypes } from '../config/patch_hypes.js'
import type { PatchHypes } from '../config/patch_hypes.js'
import { withoutFolders } from '../config/without_folders.js'
import { NoduleError } from '../errors.js'
import { parseJson } from '../json.js'
import { MODEL_FORMAT } from './metadata.js'
import type { OnnxModel } from './proto.js'

/** Value of the `format` property of a classifier of cubes. */
export const PATCH_MODEL_FORMAT = 'nodule-patches/1'

/**
 * How the confidences of the two stages become one: sigmoid(first * logit(confidence of the first stage) + second *
 * output of the second + size * ln(diameter / 8 mm) + offset), fitted on marks of patients that neither was trained on.
 * False marks are mostly small: at the same confidences a large mark is more often a nodule.
 */
export interface Calibration {
  first: number
  second: number
  size: number
  offset: number
  /** The first stage whose marks it was fitted on: SHA-256 of the model file, and of its checkpoint where known. */
  model: string
  checkpoint?: string
  /** Marks that it was fitted on. */
  nodules: number
  others: number
}

/** Where a trained classifier of cubes comes from. */
export interface PatchOrigin {
  hypes: PatchHypes
  step: number
  seed: number
  codeVersion: string
  checkpointSha256: string
}

/** Kept in the file's metadata_props: where its network comes from, or the first of several. */
export interface PatchMetadata extends PatchOrigin {
  /** The further networks whose outputs are averaged with the first; absent: none. */
  others?: PatchOrigin[]
  /** Absent until `nodule calibrate` has fitted it. */
  calibration?: Calibration
  /** What the convolutions compute in. */
  precision: 'float32' | 'int8'
}

export function patchProps(metadata: PatchMetadata): { key: string; value: string }[] {
  const others = metadata.others?.map((one) => ({ ...one, hypes: withoutFolders(one.hypes) }))
  const values = {
    format: PATCH_MODEL_FORMAT,
    hypes: JSON.stringify(withoutFolders(metadata.hypes)),
    step: String(metadata.step),
    seed: String(metadata.seed),
    code_version: metadata.codeVersion,
    checkpoint_sha256: metadata.checkpointSha256,
    precision: metadata.precision,
    ...(others === undefined ? {} : { others: JSON.stringify(others) }),
    ...(metadata.calibration === undefined ? {} : { calibration: JSON.stringify(metadata.calibration) }),
  }
  return Object.entries(values).map(([key, value]) => ({ key, value }))
}

/** Reads the properties back. Throws NoduleError (FORMAT) for another model, of another version, or damaged. */
export function patchMetadata(model: OnnxModel, path: string): PatchMetadata {
  const props = new Map(model.metadata_props.map(({ key, value }) => [key, value]))
  const wrong = (message: string, key: string, expected: string, actual: unknown): NoduleError =>
    new NoduleError('FORMAT', message, {
      path,
      place: `metadata_props/${key}`,
      expected,
      actual: show(actual),
    })
  const format = props.get('format')
  if (format !== PATCH_MODEL_FORMAT) {
    const message =
      format === MODEL_FORMAT
        ? 'a detector, not a second stage'
        : format?.startsWith('nodule-patches/') === true
          ? 'a second stage of another version of nodule: export it again'
          : 'not a second stage that `nodule export` made'
    throw wrong(message, 'format', JSON.stringify(PATCH_MODEL_FORMAT), format)
  }
  const text = (key: string): string => {
    const value = props.get(key)
    if (value === undefined) throw wrong('damaged model', key, key, value)
    return value
  }
  const json = (key: string): unknown => parseJson(text(key), path, `metadata_props/${key}`)
  const number = (key: string): number => {
    const value = text(key)
    if (/^\d{1,15}$/.test(value)) return Number(value)
    throw wrong('damaged model', key, 'whole number', value)
  }
  const calibration = props.has('calibration') ? json('calibration') : undefined
  if (calibration !== undefined && !isCalibration(calibration))
    throw wrong('damaged model', 'calibration', 'first, second, size, offset, model', calibration)
  const others = props.has('others') ? json('others') : undefined
  if (others !== undefined && !(Array.isArray(others) && others.every(isOrigin)))
    throw wrong('damaged model', 'others', 'list of hypes, step, seed, codeVersion, checkpointSha256', others)
  return {
    hypes: parsePatchHypes(json('hypes'), path),
    step: number('step'),
    seed: number('seed'),
    codeVersion: text('code_version'),
    checkpointSha256: text('checkpoint_sha256'),
    // The first files do not name it.
    precision: props.get('precision') === 'int8' ? 'int8' : 'float32',
    ...(others === undefined
      ? {}
      : { others: others.map((one) => ({ ...one, hypes: parsePatchHypes(one.hypes, path) })) }),
    ...(calibration === undefined ? {} : { calibration }),
  }
}

function isCalibration(value: unknown): value is Calibration {
  if (typeof value !== 'object' || value === null) return false
  const given = value as Record<string, unknown>
  return (
    ['first', 'second', 'size', 'offset', 'nodules', 'others'].every((key) => Number.isFinite(given[key])) &&
    typeof given['model'] === 'string'
  )
}

function isOrigin(value: unknown): value is PatchOrigin {
  if (typeof value !== 'object' || value === null) return false
  const given = value as Record<string, unknown>
  return (
    Number.isInteger(given['step']) &&
    Number.isInteger(given['seed']) &&
    typeof given['codeVersion'] === 'string' &&
    typeof given['checkpointSha256'] === 'string'
  )
}
