import * as tf from '@tensorflow/tfjs'
import type { Hypes } from '../config/hypes.js'
import { NoduleError } from '../errors.js'
import { requireTensorAddon } from './onednn/addon.js'
import { BACKEND } from './onednn/kernel.js'

/**
 * Makes the running engine compute so until the returned function is called; float32 leaves it as it is (NODULE_BFLOAT16).
 * Throws NoduleError (UNAVAILABLE) where the engine or the processor cannot.
 * @param path the file that asks for it, in its key `place`
 */
export function usePrecision(
  precision: Hypes['solver']['precision'],
  path: string,
  place: string,
): () => void {
  if (precision === 'float32') return () => undefined
  const refuse = (actual: string): NoduleError =>
    new NoduleError('UNAVAILABLE', 'bfloat16 cannot be computed here', {
      path,
      place,
      expected: 'the native engine on a processor with AVX512-BF16',
      actual,
      remedies: [{ do: 'train in float32', parameter: 'set', value: `${place}=float32` }],
    })
  if (tf.getBackend() !== BACKEND) throw refuse(`the engine ${tf.getBackend()}`)
  const addon = requireTensorAddon()
  if (!addon.hasBfloat16) throw refuse('a processor without it')
  const before = addon.bfloat16()
  addon.bfloat16(true)
  return () => addon.bfloat16(before)
}
