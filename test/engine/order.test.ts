import { afterEach, expect, it, vi } from 'vitest'
import { enginesInOrder } from '../../src/engine/start.js'
import * as tensorflow from '../../src/engine/tensorflow/engine.js'

vi.mock('../../src/engine/tensorflow/engine.js', { spy: true })
afterEach(() => vi.restoreAllMocks())

const names = (): string[] => enginesInOrder().map(({ name }) => name)

it('auto prefers the native engine on a CPU, and TensorFlow where it has a GPU', () => {
  vi.mocked(tensorflow.tensorflowHasGpu).mockReturnValue(false)
  expect(names()).toEqual(['native', 'tensorflow', 'wasm'])
  vi.mocked(tensorflow.tensorflowHasGpu).mockReturnValue(true)
  expect(names()).toEqual(['tensorflow', 'native', 'wasm'])
})
