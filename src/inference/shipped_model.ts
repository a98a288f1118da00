import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { NoduleError } from '../errors.js'
import { PACKAGE_ROOT } from '../version.js'
import { hasCudaProvider } from './session.js'
import type { SessionDevice } from './session.js'

/**
 * The path of the model that ships with the package: on the CPU the one in int8, which is faster there and finds the
 * same (models/README.md); on CUDA, where integers gain nothing, the one in float32.
 * @param root the package's folder
 * @throws NoduleError (UNAVAILABLE) where it is not there
 */
export function shippedModel(device: SessionDevice = 'auto', root = PACKAGE_ROOT): string {
  const path = join(root, 'models', 'lung.onnx')
  const onCpu = device === 'cpu' || (device === 'auto' && !hasCudaProvider())
  const int8 = join(root, 'models', 'lung_int8.onnx')
  if (onCpu && existsSync(int8)) return int8
  if (existsSync(path)) return path
  throw new NoduleError('UNAVAILABLE', 'no model is given, and the package holds none', {
    path,
    remedies: [
      { do: 'name one', parameter: 'model' },
      'make one with `nodule train` and `nodule export` (or `npm run demo`, in a clone)',
    ],
  })
}
