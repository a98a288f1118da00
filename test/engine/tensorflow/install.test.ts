import { describe, expect, test } from 'vitest'
import {
  TENSORFLOW_VERSION,
  installTensorflow,
  wheelArguments,
} from '../../../src/engine/tensorflow/install.js'

describe.skipIf(process.platform !== 'linux')('engine install tensorflow', () => {
  test.each(['2.21', 'latest', '2.21.0; rm -rf /', ''])('refuses the version %j', async (version) => {
    await expect(installTensorflow({ version })).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      expected: 'a release such as 2.21.0',
      actual: version,
    })
  })

  test('takes the tested release by its hash, others by their version', () => {
    const pinned = wheelArguments(TENSORFLOW_VERSION, false, 'wanted.txt')
    expect(pinned.flags).toEqual(['--no-deps', '--require-hashes', '-r', 'wanted.txt'])
    expect(pinned.content).toMatch(/^tensorflow-cpu==2\.21\.0 --hash=sha256:[0-9a-f]{64}\n$/)
    expect(wheelArguments('2.20.0', false, 'x')).toEqual({ flags: ['--no-deps', 'tensorflow-cpu==2.20.0'] })
    expect(wheelArguments(TENSORFLOW_VERSION, true, 'x')).toEqual({
      flags: ['tensorflow[and-cuda]==2.21.0'],
    })
  })
})
