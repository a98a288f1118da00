/**
 * State dicts of PyTorch: a zip archive of a pickle (data.pkl) and one file for each storage. Files that PyTorch wrote
 * before 1.6 are pickles one after another with the storages behind; both are read.
 * Source: torch/serialization.py of github.com/pytorch/pytorch.
 */
import { NoduleError } from '../errors.js'
import { ByteReader, NUMBER_BYTES, sizeOf, toFloat32, unsupported } from './bytes.js'
import type { OpenFile } from './bytes.js'
import { isTensor, readPickle, textOf } from './pickle.js'
import type { Pickled, PickledTensor, Storage } from './pickle.js'
import type { FileTensor, WeightsFile } from './types.js'
import { entryStart, readZipDirectory } from './zip.js'

const FORMAT = 'PyTorch state dict'
/** The pickle holds names and shapes only. */
const MAX_PICKLE = 64 * 1024 * 1024
/** Dicts within dicts. */
const MAX_DEPTH = 8
/** Characters of all names: a dict that lies in many others has many, and a small pickle can make billions of them. */
const MAX_NAMES = 2e7

/** Where the numbers of each storage begin. */
type FindStorage = (storage: Storage) => Promise<number>

export async function readPyTorch(file: OpenFile): Promise<WeightsFile> {
  const { path } = file
  const entries = await readZipDirectory(file, FORMAT)
  const pickle = [...entries.values()].find(({ name }) => /^[^/]*\/data\.pkl$/.test(name))
  if (pickle === undefined)
    throw invalid(path, '', 'an archive with data.pkl', `${entries.size} other entries`)
  const folder = pickle.name.slice(0, -'data.pkl'.length)
  const bytesOf = async (name: string, limit: number): Promise<ByteReader | undefined> => {
    const entry = entries.get(folder + name)
    if (entry === undefined) return undefined
    if (entry.size > limit) throw invalid(path, name, `at most ${limit} bytes`, String(entry.size))
    const offset = await entryStart(file, entry, FORMAT)
    return new ByteReader(await file.read(offset, entry.size), { path, format: FORMAT, offset })
  }
  const order = (await bytesOf('byteorder', 16))?.bytes.toString('utf8').trim()
  if (order !== undefined && order !== 'little')
    throw new NoduleError('UNSUPPORTED', 'byte order of a state dict', {
      path,
      expected: 'little',
      actual: order,
    })
  const root = readPickle((await bytesOf('data.pkl', MAX_PICKLE))!, path)
  const find: FindStorage = async (storage) => {
    const entry = entries.get(`${folder}data/${storage.key}`)
    if (entry === undefined) throw invalid(path, `data/${storage.key}`, 'numbers', 'no such entry')
    const width = storage.type === 'other' ? 1 : NUMBER_BYTES[storage.type]
    if (entry.size < storage.length * width)
      throw invalid(path, entry.name, `${storage.length * width} bytes`, String(entry.size))
    return entryStart(file, entry, FORMAT)
  }
  return stateDict(file, root, find)
}

const LEGACY_MAGIC = Buffer.from('8a0a6cfc9c46f9206aa85019', 'hex')

/** Whether a file begins as PyTorch's before 1.6: PROTO 2 and a number of its own. */
export function isLegacyPyTorch(start: Buffer): boolean {
  return start[0] === 0x80 && start.subarray(2, 2 + LEGACY_MAGIC.length).equals(LEGACY_MAGIC)
}

/** Magic, protocol, machine, state dict, names of the storages; then for each its length and its numbers. */
export async function readLegacyPyTorch(file: OpenFile): Promise<WeightsFile> {
  const { path } = file
  const head = Math.min(file.size, MAX_PICKLE)
  const reader = new ByteReader(await file.read(0, head), { path, format: FORMAT, offset: 0 })
  for (let n = 0; n < 2; n++) readPickle(reader, path)
  const machine = readPickle(reader, path)
  if (machine instanceof Map && machine.get('little_endian') === false)
    throw new NoduleError('UNSUPPORTED', 'byte order of a state dict', {
      path,
      expected: 'little',
      actual: 'big',
    })
  const root = readPickle(reader, path)
  const keys = readPickle(reader, path)
  const storages = new Map<string, Storage>()
  for (const tensor of tensorsIn(root, path).values()) storages.set(tensor.storage.key, tensor.storage)
  const starts = new Map<string, number>()
  let at = reader.at
  for (const key of Array.isArray(keys) ? keys : []) {
    const storage = storages.get(textOf(key))
    if (storage === undefined || storage.type === 'other')
      throw invalid(path, `byte ${at}`, 'a storage of the state dict', JSON.stringify(key))
    const length = Number((await file.read(at, 8)).readBigInt64LE())
    if (length !== storage.length)
      throw invalid(path, `byte ${at}`, `${storage.length} numbers`, String(length))
    starts.set(storage.key, at + 8)
    at += 8 + length * NUMBER_BYTES[storage.type]
  }
  const find: FindStorage = (storage) => {
    const start = starts.get(storage.key)
    if (start === undefined) throw invalid(path, storage.key, 'numbers of a storage', 'none')
    return Promise.resolve(start)
  }
  return stateDict(file, root, async (storage) => find(storage))
}

function stateDict(file: OpenFile, root: Pickled, find: FindStorage): WeightsFile {
  const { path } = file
  const tensors = new Map<string, FileTensor>()
  for (const [name, tensor] of tensorsIn(root, path)) {
    const read = (): Promise<Float32Array> => readTensor(file, name, tensor, find)
    tensors.set(name, { name, shape: tensor.shape, type: tensor.storage.type, read })
  }
  return { path, format: FORMAT, tensors, layout: 'OIHW', close: () => file.close() }
}

/**
 * All tensors of a pickle by their names, those of inner dicts as "outer.inner". The dict that training scripts wrap
 * around the model ("state_dict", "model") and the "module." of DataParallel are taken off.
 */
function tensorsIn(root: Pickled, path: string): Map<string, PickledTensor> {
  const found = new Map<string, PickledTensor>()
  let room = MAX_NAMES
  const walk = (value: Pickled, name: string, depth: number): void => {
    room -= name.length + 1
    if (room < 0) throw invalid(path, '', `names of at most ${MAX_NAMES} characters together`, 'more')
    if (isTensor(value)) found.set(name, value)
    else if (value instanceof Map && depth < MAX_DEPTH)
      for (const [key, inner] of value)
        walk(inner, name === '' ? textOf(key) : `${name}.${textOf(key)}`, depth + 1)
  }
  let dict = root
  for (const wrapper of ['state_dict', 'model']) {
    const inner = dict instanceof Map ? dict.get(wrapper) : undefined
    if (inner instanceof Map) dict = inner
  }
  walk(dict, '', 0)
  if (found.size === 0) throw invalid(path, '', 'a dict of tensors', 'none')
  const names = [...found.keys()]
  if (!names.every((name) => name.startsWith('module.'))) return found
  return new Map([...found].map(([name, tensor]) => [name.slice('module.'.length), tensor]))
}

async function readTensor(
  file: OpenFile,
  name: string,
  { storage, offset, shape, strides }: PickledTensor,
  find: FindStorage,
): Promise<Float32Array> {
  const { type } = storage
  if (type === 'other') throw unsupported(file.path, name, 'others')
  const count = sizeOf(shape)
  if (count === 0) return new Float32Array(0)
  const last = shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, offset)
  // A view that shows the same number many times could claim any memory.
  if (last >= storage.length || count > storage.length)
    throw invalid(
      file.path,
      name,
      `a view of ${storage.length} numbers`,
      `[${shape.join(', ')}] from ${offset}`,
    )
  const width = NUMBER_BYTES[type]
  const start = await find(storage)
  const values = toFloat32(await file.read(start + offset * width, (last - offset + 1) * width), type)
  let contiguous = true
  for (let axis = shape.length - 1, expected = 1; axis >= 0; expected *= shape[axis]!, axis--)
    if (shape[axis] !== 1 && strides[axis] !== expected) contiguous = false
  return contiguous ? values : gather(values, shape, strides, count)
}

/** A view whose numbers do not lie row by row (channels_last, a transposed matrix). */
function gather(values: Float32Array, shape: number[], strides: number[], count: number): Float32Array {
  const result = new Float32Array(count)
  const index = shape.map(() => 0)
  for (let i = 0, at = 0; i < count; i++) {
    result[i] = values[at]!
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++
      at += strides[axis]!
      if (index[axis]! < shape[axis]!) break
      at -= strides[axis]! * shape[axis]!
      index[axis] = 0
    }
  }
  return result
}

function invalid(path: string, place: string, expected: string, actual: string): NoduleError {
  return new NoduleError('FORMAT', `not a valid ${FORMAT}`, { path, place, expected, actual })
}
