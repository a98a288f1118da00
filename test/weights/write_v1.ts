/** Writes TensorFlow's first checkpoints, as slim's `inception_v1.ckpt` is one; see src/weights/tensorflow_v1.ts. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { masked } from '../../src/crc32c.js'
import { TABLE_MAGIC } from '../../src/weights/sstable.js'

export interface V1Tensor {
  name: string
  shape: readonly number[]
  data: Float32Array
}

/** One block an entry, not compressed. */
export function writeV1(path: string, tensors: readonly V1Tensor[]): void {
  const file = openSync(path, 'w')
  try {
    let at = 0
    const write = (content: Buffer): Buffer => {
      const trailer = Buffer.alloc(5)
      trailer.writeUInt32LE(masked(Buffer.concat([content, Buffer.of(0)])), 1)
      const handle = Buffer.concat([varint(at), varint(content.length)])
      for (const bytes of [content, trailer]) at += writeSync(file, bytes)
      return handle
    }
    const entries: [key: Buffer, handle: Buffer][] = [
      [Buffer.alloc(0), write(block([[Buffer.alloc(0), field(1, Buffer.concat(tensors.map(metaOf)))]]))],
    ]
    for (const tensor of [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      // Behind the empty key; TensorFlow's keys hold the place of the slice too.
      const key = Buffer.from(`\0${tensor.name}`)
      entries.push([key, write(block([[key, field(2, valuesOf(tensor))]]))])
    }
    const other = write(block([]))
    const index = write(block(entries))
    const footer = Buffer.alloc(48)
    Buffer.concat([other, index]).copy(footer)
    TABLE_MAGIC.copy(footer, 40)
    writeSync(file, footer)
  } finally {
    closeSync(file)
  }
}

/** Whole keys, one restart. */
function block(entries: readonly (readonly [key: Buffer, value: Buffer])[]): Buffer {
  const end = Buffer.alloc(8)
  end.writeUInt32LE(1, 4)
  return Buffer.concat([
    ...entries.flatMap(([key, value]) => [varint(0), varint(key.length), varint(value.length), key, value]),
    end,
  ])
}

/** SavedTensorSliceMeta.tensor: name, shape, type (1, float), one slice that is all. */
function metaOf({ name, shape }: V1Tensor): Buffer {
  const dims = shape.map((size) => field(2, Buffer.concat([varint(8), varint(size)])))
  const parts = [field(1, Buffer.from(name)), field(2, Buffer.concat(dims)), Buffer.of(3 << 3, 1)]
  return field(1, Buffer.concat([...parts, field(4, Buffer.alloc(0))]))
}

/** SavedSlice: name, and the values packed as TensorProto.float_val. */
function valuesOf({ name, data }: V1Tensor): Buffer {
  const values = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return Buffer.concat([field(1, Buffer.from(name)), field(3, field(5, values))])
}

function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128)
  return Buffer.of(...bytes, value)
}
