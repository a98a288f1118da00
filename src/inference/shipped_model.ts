import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { NoduleError } from '../errors.js'
import { PACKAGE_ROOT } from '../version.js'

/**
 * The path of the model that ships with the package.
 * @param root the package's folder
 * @throws NoduleError (UNAVAILABLE) where it is not there
 */
export function shippedModel(root = PACKAGE_ROOT): string {
  const path = join(root, 'models', 'lung.onnx')
  if (existsSync(path)) return path
  throw new NoduleError('UNAVAILABLE', 'no model is given, and the package holds none', {
    path,
    remedies: [
      { do: 'name one', parameter: 'model' },
      'make one with `nodule train` and `nodule export` (or `npm run demo`, in a clone)',
    ],
  })
}
