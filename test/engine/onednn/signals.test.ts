import { Session } from 'node:inspector/promises'
import * as tf from '@tensorflow/tfjs'
import { afterAll, describe, expect, test } from 'vitest'
import { registerNativeBackend, setNativeThreads } from '../../../src/engine/onednn/engine.js'
import { tensorAddonProblem } from '../../../src/engine/onednn/addon.js'

const problem = tensorAddonProblem()

describe.skipIf(problem !== undefined)(`signals ${problem ?? ''}`, () => {
  afterAll(() => tf.setBackend('cpu'))

  // The profiler interrupts the thread with SIGPROF. oneDNN's sgemm does not stand that (see SignalBlock in
  // native/tensor/threads.h): without the protection this test ends the process.
  test('matrix products under the sampling profiler', async () => {
    registerNativeBackend()
    setNativeThreads(1)
    await tf.setBackend('native')
    const session = new Session()
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: 100 })
    await session.post('Profiler.start')
    const [a, b] = [tf.ones([88, 96]), tf.ones([96, 384])]
    for (let i = 0; i < 1500; i++) {
      const product = tf.matMul(a, b)
      if (i % 100 === 0) expect(product.dataSync().every((value) => value === 96)).toBe(true)
      product.dispose()
    }
    const { profile } = await session.post('Profiler.stop')
    session.disconnect()
    setNativeThreads(2)
    expect(profile.samples!.length).toBeGreaterThan(10)
  })
})
