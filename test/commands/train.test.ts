import { join } from 'node:path'
import { expect, it } from 'vitest'
import { command } from '../../src/commands/train.js'
import { PACKAGE_ROOT } from '../../src/version.js'

it('refuses to skip missing images of cubes', async () => {
  const flags = { hypes: join(PACKAGE_ROOT, 'hypes/lung_second.json'), output: 'nowhere', skipMissing: true }
  await expect((command.handler as (flags: unknown) => Promise<void>)(flags)).rejects.toMatchObject({
    code: 'INVALID_PARAMETER',
    message:
      'the option has no effect here (skipMissing): expected lists of frames but received the hypes of a second ' +
      'stage, which learns from cubes',
  })
})
