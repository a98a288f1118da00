import { describe, expect, test } from 'vitest'
import { installTensorflow } from '../../../src/engine/tensorflow/install.js'

describe.skipIf(process.platform !== 'linux')('engine install tensorflow', () => {
  test.each(['2.21', 'latest', '2.21.0; rm -rf /', ''])('refuses the version %j', async (version) => {
    await expect(installTensorflow({ version })).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      expected: 'a release such as 2.21.0',
      actual: version,
    })
  })
})
