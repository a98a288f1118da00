import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NoduleError } from '../../src/errors.js'
import { describeWeights, openWeights } from '../../src/weights/index.js'

const fixtures = fileURLToPath(new URL('../fixtures/weights/', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'nodule-weights-'))

const FILTER = Float32Array.from({ length: 120 }, (_, i) => i / 8 - 7)
const BIASES = Float32Array.of(0, 0.5, -1.25, 1e-20, 3e5)
/** [out, in, kh, kw] of a filter [2, 3, 4, 5]. */
const TURNED = Float32Array.from({ length: 120 }, (_, i) => {
  const [o, c, tap] = [Math.floor(i / 24), Math.floor(i / 6) % 4, i % 6]
  return FILTER[(tap * 4 + c) * 5 + o]!
})

async function readAll(
  path: string,
): Promise<Record<string, { shape: readonly number[]; values: number[] }>> {
  const file = await openWeights(path)
  try {
    const result: Record<string, { shape: readonly number[]; values: number[] }> = {}
    for (const [name, tensor] of file.tensors)
      result[name] = { shape: tensor.shape, values: [...(await tensor.read())] }
    return result
  } finally {
    await file.close()
  }
}

async function caught(path: string): Promise<NoduleError> {
  const error: unknown = await readAll(path).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(NoduleError)
  return error as NoduleError
}

const small = { shape: [3], values: [0, 0.5, -1.25] }

describe('files that TensorFlow wrote', () => {
  it('V1', async () => {
    expect(await readAll(join(fixtures, 'v1.ckpt'))).toEqual({
      'conv/weights': { shape: [2, 3, 4, 5], values: [...FILTER] },
      'conv/biases': { shape: [5], values: [...BIASES] },
      double: { shape: [5], values: [...BIASES] },
      global_step: { shape: [], values: [7] },
    })
  })

  it.each(['v2.ckpt', 'v2.ckpt.index', 'v2.ckpt.data-00000-of-00001'])('V2, named as %s', async (name) => {
    const read = await readAll(join(fixtures, name))
    expect(read['conv/weights']).toEqual({ shape: [2, 3, 4, 5], values: [...FILTER] })
    expect(read['conv/biases']).toEqual({ shape: [5], values: [...BIASES] })
    expect(read).toMatchObject({ half: small, brain: small, global_step: { shape: [], values: [7] } })
  })

  it('V2 without its data', async () => {
    copyFileSync(join(fixtures, 'v2.ckpt.index'), join(folder, 'alone.ckpt.index'))
    const error = await caught(join(folder, 'alone.ckpt'))
    expect(error.code).toBe('FILE')
    expect(error.message).toMatch(/alone\.ckpt\.data-00000-of-00001: cannot read weights: no such file/)
  })

  it('one changed byte is found by the checksums', async () => {
    const bytes = readFileSync(join(fixtures, 'v1.ckpt'))
    bytes[100]! ^= 1
    writeFileSync(join(folder, 'changed.ckpt'), bytes)
    expect((await caught(join(folder, 'changed.ckpt'))).message).toMatch(/contents of its checksum/)
    const data = readFileSync(join(fixtures, 'v2.ckpt.data-00000-of-00001'))
    data[30]! ^= 1
    copyFileSync(join(fixtures, 'v2.ckpt.index'), join(folder, 'changed2.index'))
    writeFileSync(join(folder, 'changed2.data-00000-of-00001'), data)
    expect((await caught(join(folder, 'changed2'))).message).toMatch(/contents of its checksum/)
  })
})

describe('files that PyTorch wrote', () => {
  const expected = {
    'conv.weight': { shape: [5, 4, 2, 3], values: [...TURNED] },
    'conv.bias': { shape: [5], values: [...BIASES] },
    half: small,
    brain: small,
    count: { shape: [], values: [7] },
    last: { shape: [5, 4, 2, 3], values: [...TURNED] },
    turned: { shape: [3, 2], values: [0, 3, 1, 4, 2, 5] },
    middle: { shape: [3], values: [3, 4, 5] },
  }

  it.each(['state.pth', 'state_legacy.pth', 'wrapped.pt'])('%s', async (name) => {
    expect(await readAll(join(fixtures, name))).toEqual(expected)
  })

  it('refuses a whole module: its pickle asks for a class', async () => {
    const error = await caught(join(fixtures, 'module.pt'))
    expect(error.code).toBe('UNSUPPORTED')
    expect(error.message).toMatch(
      /module\.pt: a pickle that asks for code: expected tensors, .*state_dict.* but received torch\.nn\.modules\.linear\.Linear/,
    )
  })

  it('refuses a pickle that would run a command', async () => {
    // The legacy form: the first pickle is all that an attacker needs.
    const magic = Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex')
    const attack = Buffer.from('\x80\x02cposix\nsystem\n(X\x04\x00\x00\x00truetR.', 'latin1')
    const path = join(folder, 'attack.pth')
    writeFileSync(path, Buffer.concat([magic, attack]))
    const error = await caught(path)
    expect(error.code).toBe('UNSUPPORTED')
    expect(error.message).toMatch(/asks for code.*posix\.system/)
  })
})

describe('a small pickle with many names', () => {
  /** The legacy form of a state dict whose pickle is `body`. */
  const legacy = (body: Buffer): Buffer => {
    const pickles = ['8a0a6cfc9c46f9206aa850192e', '4de9032e', '7d2e'].map((hex) => `8002${hex}`)
    return Buffer.concat([Buffer.from(pickles.join(''), 'hex'), body, Buffer.from('80025d2e', 'hex')])
  }
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value)
    const head = Buffer.from('X....')
    head.writeUInt32LE(bytes.length, 1)
    return Buffer.concat([head, bytes])
  }

  it('dicts that lie in each other in many ways are refused soon', async () => {
    // From the innermost on: each dict holds the one before 10 times, which makes 10^7 names.
    const levels = Array.from({ length: 7 }, (_, level) => {
      const entries = Array.from({ length: 10 }, (_, n) => [text(`k${n}`), Buffer.from([0x68, level])])
      return Buffer.concat([Buffer.from('}('), ...entries.flat(), Buffer.from([0x75, 0x71, level + 1])])
    })
    const path = join(folder, 'names.pth')
    const inner = Buffer.from('80027d7100', 'hex')
    writeFileSync(path, legacy(Buffer.concat([inner, ...levels, Buffer.from('.')])))
    const start = process.cpuUsage()
    const error = await caught(path)
    const { user, system } = process.cpuUsage(start)
    expect((user + system) / 1000).toBeLessThan(1000)
    expect(error.code).toBe('FORMAT')
    expect(error.message).toMatch(
      /names\.pth: not a valid PyTorch state dict: expected names of at most 20000000/,
    )
  })
})

describe('safetensors and ONNX', () => {
  const expected = {
    'conv.weight': { shape: [5, 4, 2, 3], values: [...TURNED] },
    'conv.bias': { shape: [5], values: [...BIASES] },
    half: small,
    count: { shape: [], values: [7] },
  }

  it('safetensors of several types', async () => {
    expect(await readAll(join(fixtures, 'state.safetensors'))).toEqual({ ...expected, brain: small })
  })

  it('ONNX initializers, raw and typed', async () => {
    expect(await readAll(join(fixtures, 'model.onnx'))).toEqual(expected)
  })
})

it('the weights that ship fit their own backbone, whose frames have more channels than pictures', async () => {
  const path = fileURLToPath(new URL('../../models/lung.safetensors', import.meta.url))
  const { fits } = await describeWeights(path)
  expect(fits).toMatchObject([{ backbone: 'lung', channels: 5, whole: true, found: 45, otherShape: [] }])
})

describe('what is no file of weights', () => {
  it.each([
    [
      'empty',
      Buffer.alloc(0),
      'FORMAT',
      /not a file of weights: expected a TensorFlow checkpoint .*an empty file/,
    ],
    [
      'text',
      Buffer.from('hello, this is text'),
      'FORMAT',
      /not a file of weights.*received bytes 68656c6c6f/,
    ],
    ['gzip', Buffer.from('1f8b080000000000', 'hex'), 'UNSUPPORTED', /unpack it but received a gzip archive/],
    ['hdf5', Buffer.from('894844460d0a1a0a00000000', 'hex'), 'UNSUPPORTED', /a Keras HDF5 file/],
  ])('%s', async (name, content, code, message) => {
    const path = join(folder, name)
    writeFileSync(path, content)
    const error = await caught(path)
    expect(error.code).toBe(code)
    expect(error.message).toMatch(message)
  })

  it('a missing file', async () => {
    expect((await caught(join(folder, 'none'))).message).toMatch(/none: cannot read weights: no such file/)
  })
})

describe('damaged files end in a NoduleError, or are read', () => {
  it.each(['v1.ckpt', 'v2.ckpt.index', 'state.pth', 'state_legacy.pth', 'state.safetensors', 'model.onnx'])(
    '%s',
    async (name) => {
      const original = readFileSync(join(fixtures, name))
      const path = join(folder, `fuzz-${name.replace('.index', '')}`)
      const target = name.endsWith('.index') ? `${path}.index` : path
      if (name.endsWith('.index'))
        copyFileSync(join(fixtures, 'v2.ckpt.data-00000-of-00001'), `${path}.data-00000-of-00001`)
      const change = fc.record({ at: fc.nat(original.length - 1), byte: fc.integer({ min: 0, max: 255 }) })
      await fc.assert(
        fc.asyncProperty(
          fc.array(change, { maxLength: 4 }),
          fc.option(fc.nat(original.length), { freq: 3 }),
          async (changes, length) => {
            const bytes = Buffer.from(original)
            for (const { at, byte } of changes) bytes[at] = byte
            writeFileSync(target, bytes.subarray(0, length ?? bytes.length))
            try {
              await readAll(path)
            } catch (error) {
              if (!(error instanceof NoduleError)) throw error
            }
          },
        ),
        { numRuns: 300 },
      )
    },
    120_000,
  )
})
