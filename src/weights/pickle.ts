/**
 * Pickles of state dicts, and nothing else: a pickle is a program, and this runs only the part of it that builds dicts,
 * lists, numbers, text and tensors. A class that is not named here is refused before anything is made of it.
 * Source of the operations: CPython's Lib/pickletools.py.
 */
import { NoduleError } from '../errors.js'
import type { ByteReader } from './bytes.js'
import type { NumberType } from './types.js'

/** A run of numbers that tensors are views of. */
export interface Storage {
  kind: 'storage'
  type: NumberType
  /** Its name in the archive. */
  key: string
  /** Numbers that it holds. */
  length: number
}

/** What `_rebuild_tensor_v2` was called with. */
export interface PickledTensor {
  kind: 'tensor'
  storage: Storage
  offset: number
  shape: number[]
  strides: number[]
}

/** A class that may be named; never called but where `call` knows it. */
interface Global {
  kind: 'global'
  name: string
}

export type Pickled =
  | string
  | number
  | boolean
  | null
  | Uint8Array
  | Pickled[]
  | Map<Pickled, Pickled>
  | Storage
  | PickledTensor
  | Global

const STORAGES: Readonly<Record<string, NumberType>> = {
  DoubleStorage: 'float64',
  FloatStorage: 'float32',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
}

const CALLED = [
  'collections OrderedDict',
  'torch._utils _rebuild_tensor_v2',
  'torch._utils _rebuild_parameter',
  'torch Size',
]

/** Values on the stack and in the memo: far more than the largest state dicts make. */
const MAX_VALUES = 5_000_000
const MAX_TEXT = 1 << 20

/** Runs a pickle up to its STOP; the reader stands behind it. Throws NoduleError (FORMAT, UNSUPPORTED). */
export function readPickle(reader: ByteReader, path: string): Pickled {
  return new Unpickler(reader, path).run()
}

class Unpickler {
  readonly #reader: ByteReader
  readonly #path: string
  readonly #memo = new Map<number, Pickled>()
  #stack: Pickled[] = []
  /** The stacks below the marks. */
  readonly #below: Pickled[][] = []
  #made = 0

  constructor(reader: ByteReader, path: string) {
    this.#reader = reader
    this.#path = path
  }

  run(): Pickled {
    for (;;) {
      const operation = String.fromCharCode(this.#reader.u8())
      if (operation === '.') return this.#pop()
      this.#step(operation)
    }
  }

  #error(expected: string, actual: string): NoduleError {
    return this.#reader.error(expected, actual)
  }

  #push(value: Pickled): void {
    if (++this.#made > MAX_VALUES) throw this.#error(`at most ${MAX_VALUES} values`, 'more')
    this.#stack.push(value)
  }

  #pop(): Pickled {
    const value = this.#stack.pop()
    if (value === undefined) throw this.#error('a value on the stack', 'none')
    return value
  }

  #top(): Pickled {
    const value = this.#stack.at(-1)
    if (value === undefined) throw this.#error('a value on the stack', 'none')
    return value
  }

  /** What was pushed since the last mark. */
  #popMark(): Pickled[] {
    const values = this.#stack
    const below = this.#below.pop()
    if (below === undefined) throw this.#error('a mark', 'none')
    this.#stack = below
    return values
  }

  #text(length: number): string {
    if (length > MAX_TEXT) throw this.#error(`text of at most ${MAX_TEXT} bytes`, String(length))
    return this.#reader.take(length).toString('utf8')
  }

  #line(): string {
    const { bytes, at } = this.#reader
    const end = bytes.indexOf(10, at)
    if (end < 0) throw this.#error('a line', 'none')
    const text = this.#text(end - at)
    this.#reader.take(1)
    return text
  }

  #remember(index: number): void {
    this.#memo.set(index, this.#top())
  }

  #recall(index: number): void {
    const value = this.#memo.get(index)
    if (value === undefined) throw this.#error('a remembered value', `none of number ${index}`)
    this.#push(value)
  }

  /** One operation; its code as a character, as pickletools names it. */
  #step(operation: string): void {
    const reader = this.#reader
    switch (operation) {
      case '\x80': // PROTO
        reader.take(1)
        return
      case '\x95': // FRAME
        reader.take(8)
        return
      case '(': // MARK
        this.#below.push(this.#stack)
        this.#stack = []
        if (this.#below.length > 10_000) throw this.#error('at most 10000 marks', 'more')
        return
      case '0': // POP
        this.#pop()
        return
      case 'N':
        return this.#push(null)
      case '\x88':
        return this.#push(true)
      case '\x89':
        return this.#push(false)
      case 'K': // BININT1
        return this.#push(reader.u8())
      case 'M': // BININT2
        return this.#push(reader.u16())
      case 'J': // BININT
        return this.#push(reader.i32())
      case '\x8a': // LONG1
        return this.#push(this.#long(reader.u8()))
      case 'G': // BINFLOAT
        return this.#push(reader.take(8).readDoubleBE())
      case 'X': // BINUNICODE
        return this.#push(this.#text(reader.u32()))
      case '\x8c': // SHORT_BINUNICODE
      case 'U': // SHORT_BINSTRING
        return this.#push(this.#text(reader.u8()))
      case 'T': // BINSTRING
        return this.#push(this.#text(reader.u32()))
      case 'C': // SHORT_BINBYTES
        return this.#push(Uint8Array.from(reader.take(reader.u8())))
      case '}':
        return this.#push(new Map())
      case ']':
      case ')':
        return this.#push([])
      case 't': // TUPLE
      case 'l': // LIST
        return this.#push(this.#popMark())
      case '\x85':
        return this.#push([this.#pop()])
      case '\x86':
      case '\x87': {
        const values =
          operation === '\x86' ? [this.#pop(), this.#pop()] : [this.#pop(), this.#pop(), this.#pop()]
        return this.#push(values.reverse())
      }
      case 'a': // APPEND
        return this.#append([this.#pop()])
      case 'e': // APPENDS
        return this.#append(this.#popMark())
      case 's': {
        // SETITEM
        const value = this.#pop()
        return this.#setItems([this.#pop(), value])
      }
      case 'u': // SETITEMS
        return this.#setItems(this.#popMark())
      case 'q': // BINPUT
        return this.#remember(reader.u8())
      case 'r': // LONG_BINPUT
        return this.#remember(reader.u32())
      case '\x94': // MEMOIZE
        return this.#remember(this.#memo.size)
      case 'h': // BINGET
        return this.#recall(reader.u8())
      case 'j': // LONG_BINGET
        return this.#recall(reader.u32())
      case 'c': // GLOBAL
        return this.#push(this.#global(this.#line(), this.#line()))
      case '\x93': {
        // STACK_GLOBAL
        const name = this.#pop()
        return this.#push(this.#global(textOf(this.#pop()), textOf(name)))
      }
      case 'Q': // BINPERSID
        return this.#push(this.#storage(this.#pop()))
      case 'R': {
        // REDUCE
        const given = this.#pop()
        return this.#push(this.#call(this.#pop(), given))
      }
      case 'b': // BUILD: the state of an OrderedDict is a table of versions.
        this.#pop()
        if (!(this.#top() instanceof Map)) throw this.#error('state of a dict', 'of something else')
        return
      default:
        throw this.#error('an operation of state dicts', `0x${operation.charCodeAt(0).toString(16)}`)
    }
  }

  #long(length: number): number {
    const bytes = this.#reader.take(length)
    if (length === 0) return 0
    const value = BigInt.asIntN(
      length * 8,
      bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n),
    )
    return Number(value)
  }

  #append(values: Pickled[]): void {
    const list = this.#top()
    if (!Array.isArray(list)) throw this.#error('a list', 'something else')
    for (const value of values) list.push(value)
  }

  #setItems(values: Pickled[]): void {
    const dict = this.#top()
    if (!(dict instanceof Map) || values.length % 2 !== 0)
      throw this.#error('a dict and pairs', 'something else')
    for (let i = 0; i < values.length; i += 2) dict.set(values[i]!, values[i + 1]!)
  }

  #global(module: string, name: string): Global {
    const full = `${module} ${name}`
    const isStorage =
      (module === 'torch' && Object.hasOwn(STORAGES, name)) || full === 'torch.storage UntypedStorage'
    if (isStorage || CALLED.includes(full)) return { kind: 'global', name: full }
    throw new NoduleError('UNSUPPORTED', 'a pickle that asks for code', {
      path: this.#path,
      expected: 'tensors, dicts, lists, numbers and text only (torch.save(model.state_dict(), path))',
      actual: full.replace(' ', '.'),
    })
  }

  /** ('storage', class, key, device, length). */
  #storage(id: Pickled): Storage {
    const [kind, type, key, , length] = Array.isArray(id) ? id : []
    if (kind !== 'storage' || !isGlobal(type) || typeof key !== 'string' || !isSize(length))
      throw this.#error('a storage', 'something else')
    const name = type.name.slice(type.name.indexOf(' ') + 1)
    return { kind: 'storage', type: STORAGES[name] ?? 'other', key, length }
  }

  #call(called: Pickled, given: Pickled): Pickled {
    const values = Array.isArray(given) ? given : []
    if (!isGlobal(called)) throw this.#error('a class to call', 'something else')
    if (called.name === 'collections OrderedDict') {
      const dict = new Map<Pickled, Pickled>()
      // Python 2 gave the items as a list of pairs.
      for (const pair of Array.isArray(values[0]) ? values[0] : [])
        if (Array.isArray(pair) && pair.length === 2) dict.set(pair[0]!, pair[1]!)
      return dict
    }
    if (called.name === 'torch Size') return Array.isArray(values[0]) ? values[0] : []
    if (called.name === 'torch._utils _rebuild_parameter') {
      if (isTensor(values[0])) return values[0]
    } else if (called.name === 'torch._utils _rebuild_tensor_v2') {
      const [storage, offset, shape, strides] = values
      if (
        isStorage(storage) &&
        isSize(offset) &&
        isSizes(shape) &&
        isSizes(strides) &&
        shape.length === strides.length
      )
        return { kind: 'tensor', storage, offset, shape, strides }
    }
    throw this.#error('a call that makes a tensor or a dict', called.name)
  }
}

function hasKind<K extends string>(
  value: Pickled | undefined,
  kind: K,
): value is Extract<Pickled, { kind: K }> {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === kind
}

/** A key or a name as text; what is neither text nor a number is none. */
export function textOf(value: Pickled): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '?'
}

function isGlobal(value: Pickled | undefined): value is Global {
  return hasKind(value, 'global')
}

function isStorage(value: Pickled | undefined): value is Storage {
  return hasKind(value, 'storage')
}

export function isTensor(value: Pickled | undefined): value is PickledTensor {
  return hasKind(value, 'tensor')
}

function isSize(value: Pickled | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isSizes(value: Pickled | undefined): value is number[] {
  return Array.isArray(value) && value.length <= 64 && value.every(isSize)
}
