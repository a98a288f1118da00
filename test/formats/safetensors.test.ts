import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NoduleError } from '../../src/errors.js'
import { decodeSafeTensors, encodeSafeTensors } from '../../src/formats/safetensors.js'

/** A file with this header and so many bytes of data. */
function file(header: unknown, bytes: number, length?: bigint): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const head = Buffer.alloc(8)
  head.writeBigUInt64LE(length ?? BigInt(text.length))
  return Buffer.concat([head, text, Buffer.alloc(bytes)])
}

const entry = (first: number, end: number, shape = [(end - first) / 4]): unknown => ({
  dtype: 'F32',
  shape,
  data_offsets: [first, end],
})

describe('safetensors', () => {
  it('gives back what was written', () => {
    const tensor = fc.array(fc.nat(4), { maxLength: 3 }).chain((shape) => {
      const size = shape.reduce((a, b) => a * b, 1)
      return fc.record({
        shape: fc.constant(shape),
        data: fc.float32Array({ minLength: size, maxLength: size, noNaN: true }),
      })
    })
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.string()),
        fc.uniqueArray(fc.tuple(fc.string({ minLength: 1 }), tensor), {
          maxLength: 4,
          selector: ([name]) => name,
        }),
        (metadata, list) => {
          const tensors = new Map(list.filter(([name]) => name !== '__metadata__' && name !== '__proto__'))
          const { ['__proto__']: _, ...plain } = metadata
          const back = decodeSafeTensors(encodeSafeTensors({ metadata: plain, tensors }), 'a')
          expect(back.metadata).toEqual(plain)
          expect([...back.tensors.keys()].sort()).toEqual([...tensors.keys()].sort())
          for (const [name, { shape, data }] of tensors) {
            expect([...back.tensors.get(name)!.shape]).toEqual([...shape])
            expect(back.tensors.get(name)!.data).toEqual(data)
          }
        },
      ),
      { numRuns: 100 },
    )
  })

  it('reads what the Python package wrote', () => {
    // python: save_file({'a': arange(6).reshape(2, 3), 'b': float32(2.5)}, metadata={'step': '7'})
    const { metadata, tensors } = decodeSafeTensors(
      readFileSync('test/fixtures/training/python.safetensors'),
      'python',
    )
    expect(metadata).toEqual({ step: '7' })
    expect(tensors.get('a')).toEqual({ shape: [2, 3], data: new Float32Array([0, 1, 2, 3, 4, 5]) })
    expect(tensors.get('b')).toEqual({ shape: [], data: new Float32Array([2.5]) })
  })

  it.each([
    ['nothing', new Uint8Array(0), /byte 0.*at least 8 bytes/],
    ['a header longer than the file', file({}, 0, 1n << 60n), /header of at most 2 bytes/],
    ['no JSON', file('{"a"', 0), /byte 8.*JSON/],
    ['no object', file('[1]', 0), /JSON object/],
    [
      'another type',
      file({ a: { dtype: 'F16', shape: [2], data_offsets: [0, 4] } }, 4),
      /"F32" but received "F16"/,
    ],
    ['data beyond the end', file({ a: entry(0, 8) }, 4), /a.data_offsets.*within 0..4/],
    ['a negative offset', file({ a: entry(-4, 4) }, 4), /a.data_offsets/],
    ['an offset that is no integer', file({ a: entry(0, 0.5, [1]) }, 4), /two integers/],
    ['a shape that does not fit', file({ a: entry(0, 8, [3]) }, 8), /a.shape.*2 numbers but received 3/],
    ['a huge shape', file({ a: entry(0, 8, [2 ** 40, 2 ** 40]) }, 8), /a.shape/],
    [
      'a shape that is no list',
      file({ a: { dtype: 'F32', shape: 'x', data_offsets: [0, 4] } }, 4),
      /a.shape/,
    ],
    ['overlapping tensors', file({ a: entry(0, 8), b: entry(4, 12) }, 12), /b.data_offsets.*start at 8/],
    ['a hole', file({ a: entry(0, 4), b: entry(8, 12) }, 12), /b.data_offsets.*start at 4/],
    ['bytes left over', file({ a: entry(0, 4) }, 9), /end/],
    ['metadata that is no text', file({ __metadata__: { step: 1 } }, 0), /__metadata__.step.*string/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => decodeSafeTensors(bytes, 'bad.safetensors')).toThrow(message)
    expect(() => decodeSafeTensors(bytes, 'bad.safetensors')).toThrow(/^bad.safetensors: /)
  })

  it('answers damaged files with a NoduleError, never otherwise', () => {
    const whole = encodeSafeTensors({
      metadata: { step: '1' },
      tensors: new Map([['a', { shape: [2, 2], data: new Float32Array(4) }]]),
    })
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, value, length) => {
        const damaged = whole.slice(0, length)
        if (at < damaged.length) damaged[at] = value
        try {
          decodeSafeTensors(damaged, 'x')
        } catch (error) {
          expect(error).toBeInstanceOf(NoduleError)
        }
      }),
      { numRuns: 500 },
    )
  })
})
