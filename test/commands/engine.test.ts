import { expect, it } from 'vitest'
import { command } from '../../src/commands/engine.js'

it('engine install native refuses a release of TensorFlow', async () => {
  const flags = { action: 'install', name: 'native', gpu: false, tensorflow: '2.20.0', verbose: false }
  await expect((command.handler as (flags: unknown) => Promise<void>)(flags)).rejects.toMatchObject({
    name: 'NoduleError',
    code: 'INVALID_PARAMETER',
    message: 'the option has no effect here (tensorflow): expected the engine tensorflow but received native',
  })
})
