/**
 * The native engine's tfjs backend: tensors are plain typed arrays (so that tfjs's cpu kernels, which serve whatever
 * we lack, work on them) in memory that is pooled, since a training step makes and drops the same sizes every time.
 */
import * as tf from '@tensorflow/tfjs'
import type { DataId, DataType, TensorInfo } from '@tensorflow/tfjs'
import type { Data, TensorAddon } from './addon.js'
import { Pool } from './pool.js'

type BackendValues = tf.backend_util.BackendValues

interface TensorData {
  values?: BackendValues
  dtype: DataType
  refCount: number
  complexTensorInfos?: { real: TensorInfo; imag: TensorInfo }
  /** Whether `values` goes back to the pool when the tensor dies. */
  pooled?: boolean
  /** Tensors that die with this one. */
  parts?: readonly TensorInfo[]
}

export class NativeBackend extends tf.KernelBackend {
  /** Read by tfjs's cpu matrix product. */
  readonly blockSize = 48
  readonly data: tf.DataStorage<TensorData>
  private readonly pool: Pool
  private nextId = 0

  constructor(readonly addon: TensorAddon) {
    super()
    this.data = new tf.DataStorage<TensorData>(this, tf.engine())
    this.pool = new Pool(addon)
  }

  // ---- what native kernels use ----

  /** A new tensor in pooled memory; its elements are whatever was there before. */
  output<D extends 'float32' | 'int32' | 'bool'>(
    shape: readonly number[],
    dtype: D,
  ): {
    info: TensorInfo
    values: D extends 'float32' ? Float32Array : D extends 'int32' ? Int32Array : Uint8Array
  } {
    // tfjs accepts 1.5 for a size here and there; what no kernel writes would be another tensor's memory.
    tf.util.assertNonNegativeIntegerDimensions(shape as number[])
    const values = this.pool.take(dtype, tf.util.sizeFromShape(shape as number[]))
    const dataId = { id: this.nextId++ }
    this.data.set(dataId, { values: values as BackendValues, dtype, refCount: 1, pooled: true })
    return { info: { dataId, shape: shape as number[], dtype }, values: values as never }
  }

  /** The elements of a float32 tensor, in place. */
  floats(info: TensorInfo): Float32Array {
    const { values } = this.data.get(info.dataId)
    if (values instanceof Float32Array) return values
    // tfjs's cpu kernels may keep integers under the name float32.
    return Float32Array.from(values as ArrayLike<number>)
  }

  /** The elements of a tensor in the array type of its dtype, in place; undefined for strings and complex numbers. */
  elements(info: TensorInfo): Data | undefined {
    if (info.dtype === 'float32') return this.floats(info)
    const { values } = this.data.get(info.dataId)
    if (info.dtype === 'int32')
      return values instanceof Int32Array ? values : Int32Array.from(values as ArrayLike<number>)
    if (info.dtype === 'bool')
      return values instanceof Uint8Array ? values : Uint8Array.from(values as ArrayLike<number>)
    return undefined
  }

  /** Another view of the same elements. */
  alias(info: TensorInfo, shape: readonly number[] = info.shape): TensorInfo {
    this.incRef(info.dataId)
    return { dataId: info.dataId, shape: shape as number[], dtype: info.dtype }
  }

  /** The elements of a variable, to be changed in place: where their memory is ours and nobody else has it. */
  private inPlace(info: TensorInfo): Float32Array | undefined {
    const { pooled, refCount, values } = this.data.get(info.dataId)
    const own = info instanceof tf.Variable && pooled === true && refCount === 1
    return own ? (values as Float32Array) : undefined
  }

  /**
   * The elements of float32 variables, to be changed: in place where that can be done with all of them, else in the tensors
   * `copies`, which the caller assigns to them.
   */
  takeOver(infos: readonly TensorInfo[]): { values: Float32Array[]; copies: TensorInfo[] } {
    const values = infos.map((info) => this.inPlace(info))
    if (!values.includes(undefined)) return { values: values as Float32Array[], copies: [] }
    const copies = infos.map((info) => {
      const copy = this.output(info.shape, 'float32')
      copy.values.set(this.floats(info))
      return copy
    })
    return { values: copies.map((copy) => copy.values), copies: copies.map(({ info }) => info) }
  }

  /** A tensor without elements that holds others: they die with it. */
  hold(parts: readonly TensorInfo[]): TensorInfo {
    const { info } = this.output([0], 'float32')
    this.data.get(info.dataId).parts = parts
    return info
  }

  /** What a tensor of `hold` holds. */
  held(info: TensorInfo): readonly TensorInfo[] {
    return this.data.get(info.dataId).parts ?? []
  }

  /** Bytes that the pool made in all, and that wait in it. */
  poolBytes(): { allocated: number; free: number } {
    return { allocated: this.pool.allocatedBytes, free: this.pool.freeBytes }
  }

  // ---- what tfjs and its cpu kernels use ----

  override write(values: BackendValues, _shape: number[], dtype: DataType): DataId {
    const dataId = { id: this.nextId++ }
    // A cpu kernel may hand out a part of its input: pooled memory has one owner only.
    const shared = ArrayBuffer.isView(values) && this.pool.owns(values.buffer)
    this.data.set(dataId, { values: shared ? (values as Float32Array).slice() : values, dtype, refCount: 1 })
    return dataId
  }

  makeTensorInfo(shape: number[], dtype: DataType, values?: BackendValues | string[]): TensorInfo {
    const encoded =
      dtype === 'string' && values != null && values.length > 0 && typeof values[0] === 'string'
        ? (values as string[]).map((text) => tf.util.encodeString(text))
        : values
    return { dataId: this.write(encoded as BackendValues, shape, dtype), shape, dtype }
  }

  override refCount(dataId: DataId): number {
    return this.data.has(dataId) ? this.data.get(dataId).refCount : 0
  }

  override incRef(dataId: DataId): void {
    this.data.get(dataId).refCount++
  }

  decRef(dataId: DataId): void {
    if (this.data.has(dataId)) this.data.get(dataId).refCount--
  }

  override move(
    dataId: DataId,
    values: BackendValues,
    _shape: number[],
    dtype: DataType,
    refCount: number,
  ): void {
    this.data.set(dataId, { values, dtype, refCount })
  }

  override numDataIds(): number {
    return this.data.numDataIds()
  }

  override read(dataId: DataId): Promise<BackendValues> {
    return Promise.resolve(this.readSync(dataId))
  }

  /** A copy: the memory of the tensor will serve another one later. */
  override readSync(dataId: DataId): BackendValues {
    const { dtype, complexTensorInfos, values, pooled } = this.data.get(dataId)
    if (dtype === 'complex64' && complexTensorInfos !== undefined) {
      const real = this.readSync(complexTensorInfos.real.dataId) as Float32Array
      const imaginary = this.readSync(complexTensorInfos.imag.dataId) as Float32Array
      return tf.backend_util.mergeRealAndImagArrays(real, imaginary)
    }
    if (pooled === true) return (values as Float32Array).slice()
    return tf.util.convertBackendValuesAndArrayBuffer(values!, dtype) as BackendValues
  }

  bufferSync(info: TensorInfo): tf.TensorBuffer<tf.Rank, DataType> {
    const data = this.readSync(info.dataId)
    const values =
      info.dtype === 'string' ? (data as Uint8Array[]).map((bytes) => tf.util.decodeString(bytes)) : data
    return tf.buffer(info.shape, info.dtype, values as never)
  }

  override disposeData(dataId: DataId, force = false): boolean {
    if (!this.data.has(dataId)) return true
    const entry = this.data.get(dataId)
    entry.refCount--
    if (!force && entry.refCount > 0) return false
    if (entry.complexTensorInfos !== undefined) {
      this.disposeData(entry.complexTensorInfos.real.dataId, true)
      this.disposeData(entry.complexTensorInfos.imag.dataId, true)
    }
    for (const part of entry.parts ?? []) this.disposeData(part.dataId)
    if (entry.pooled === true) this.pool.give(entry.dtype, entry.values as Data)
    this.data.delete(dataId)
    return true
  }

  disposeIntermediateTensorInfo(info: TensorInfo): void {
    this.disposeData(info.dataId)
  }

  override time(body: () => void): Promise<tf.backend_util.TimingInfo> {
    const start = performance.now()
    body()
    return Promise.resolve({ kernelMs: performance.now() - start, wallMs: performance.now() - start })
  }

  override memory(): { unreliable: boolean; reasons?: string[] } {
    return { unreliable: false }
  }

  where(condition: tf.Tensor): tf.Tensor2D {
    return tf.kernel_impls.whereImpl(condition.shape, this.readSync(condition.dataId) as Uint8Array)
  }

  override floatPrecision(): 16 | 32 {
    return 32
  }

  override dispose(): void {
    // Everything is garbage-collected.
  }
}
