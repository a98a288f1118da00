import { describe, expect, it } from 'vitest'
import { withoutFolders } from '../../src/config/without_folders.js'

describe('withoutFolders', () => {
  it('keeps the names of files alone, and everything else', () => {
    const hypes = {
      slim_ckpt: '/home/alice/a.ckpt',
      solver: { weights: '/home/alice/w.safetensors', opt: 'SGD' },
    }
    expect(withoutFolders(hypes)).toEqual({
      slim_ckpt: 'a.ckpt',
      solver: { weights: 'w.safetensors', opt: 'SGD' },
    })
    expect(hypes.solver.weights).toBe('/home/alice/w.safetensors')
  })

  it.each([undefined, null, 'text', {}, { solver: null }, { solver: { weights: 3 }, slim_ckpt: 4 }])(
    'leaves %j as it is',
    (value) => {
      expect(withoutFolders<unknown>(value)).toEqual(value)
    },
  )
})
