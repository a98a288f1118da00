/** Memory of the native engine's tensors. */
import type { Data, TensorAddon } from './addon.js'

/** Arrays of at least this many elements start at a cache line. */
const ALIGN_FROM = 1024
/** Free memory that the pool may always keep, in bytes. It may also keep as much as was ever in use at once. */
const KEEP_BYTES = 2 ** 30

/** Free arrays of one type and length. */
interface Shelf {
  arrays: Data[]
  /** When somebody last asked, by the pool's clock. */
  used: number
}

/**
 * Free arrays by type and length. A training step asks for the same lengths again and again; when there is too much, the
 * lengths go first that nobody has asked for for longest.
 */
export class Pool {
  private readonly shelves = { float32: new Map(), int32: new Map(), bool: new Map() } as Record<
    string,
    Map<number, Shelf>
  >
  private readonly buffers = new WeakSet<ArrayBufferLike>()
  private clock = 0
  private usedBytes = 0
  /** Bytes of arrays that wait here, and of all arrays that were ever made here. */
  freeBytes = 0
  allocatedBytes = 0

  constructor(
    private readonly addon: Pick<TensorAddon, 'address'>,
    private keepBytes = KEEP_BYTES,
  ) {}

  take(dtype: 'float32' | 'int32' | 'bool', length: number): Data {
    const shelf = this.shelf(dtype, length)
    shelf.used = ++this.clock
    const array = shelf.arrays.pop()
    if (array !== undefined) this.freeBytes -= array.byteLength
    const taken = array ?? this.make(dtype, length)
    this.usedBytes += taken.byteLength
    this.keepBytes = Math.max(this.keepBytes, this.usedBytes)
    return taken
  }

  give(dtype: string, array: Data): void {
    this.shelf(dtype, array.length).arrays.push(array)
    this.usedBytes -= array.byteLength
    this.freeBytes += array.byteLength
    if (this.freeBytes > this.keepBytes) this.clear()
  }

  /** Drops what was asked for longest ago. */
  private clear(): void {
    const all = Object.values(this.shelves).flatMap((shelves) =>
      Array.from(shelves, ([length, shelf]) => ({ shelves, length, ...shelf })),
    )
    for (const { shelves, length, arrays } of all.sort((a, b) => a.used - b.used)) {
      if (this.freeBytes <= this.keepBytes) return
      for (const { byteLength } of arrays) this.freeBytes -= byteLength
      shelves.delete(length)
    }
  }

  private shelf(dtype: string, length: number): Shelf {
    const shelves = this.shelves[dtype]!
    let shelf = shelves.get(length)
    if (shelf === undefined) shelves.set(length, (shelf = { arrays: [], used: this.clock }))
    return shelf
  }

  owns(buffer: ArrayBufferLike): boolean {
    return this.buffers.has(buffer)
  }

  private make(dtype: 'float32' | 'int32' | 'bool', length: number): Data {
    const made = this.allocate(dtype, length)
    this.buffers.add(made.buffer)
    this.allocatedBytes += made.byteLength
    return made
  }

  private allocate(dtype: 'float32' | 'int32' | 'bool', length: number): Data {
    if (dtype === 'bool') return new Uint8Array(length)
    const Type = dtype === 'float32' ? Float32Array : Int32Array
    if (length < ALIGN_FROM) return new Type(length)
    const buffer = new ArrayBuffer(4 * length + 64)
    const past = this.addon.address(new Uint8Array(buffer))
    return new Type(buffer, (64 - past) % 64, length)
  }
}
