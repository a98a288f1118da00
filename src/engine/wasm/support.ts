import * as tf from '@tensorflow/tfjs'
import type { DataType, KernelConfig, NamedAttrMap, TensorInfo } from '@tensorflow/tfjs'

/** What these kernels use of tfjs's BackendWasm. */
export interface WasmBackend {
  makeOutput: (shape: number[], dtype: DataType) => TensorInfo
  typedArrayFromHeap: (info: TensorInfo) => Float32Array | Int32Array
  disposeData: (dataId: object, force?: boolean) => boolean
}

export interface Call {
  inputs: Record<string, TensorInfo>
  attrs: NamedAttrMap
  backend: WasmBackend
}

/** A typed kernel of the wasm backend. */
export function wasmKernel(
  kernelName: string,
  kernel: (call: Call) => TensorInfo | TensorInfo[],
): KernelConfig {
  return {
    kernelName,
    backendName: 'wasm',
    kernelFunc: (args) => kernel(args as unknown as Call),
  }
}

/** The float32 elements of a tensor, in place. */
export function view(backend: WasmBackend, info: TensorInfo): Float32Array {
  return backend.typedArrayFromHeap(info) as Float32Array
}

export type Conv2DInfo = tf.backend_util.Conv2DInfo

/** The geometry of a convolution. */
export function convInfo(
  attrs: NamedAttrMap,
  inShape: number[],
  filterShape: number[],
  depthwise = false,
): Conv2DInfo {
  const format = tf.backend_util.convertConv2DDataFormat((attrs['dataFormat'] ?? 'NHWC') as 'NHWC')
  if (format !== 'channelsLast') throw new Error('the wasm engine convolves NHWC only')
  return tf.backend_util.computeConv2DInfo(
    inShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    attrs['strides'] as number,
    (attrs['dilations'] as number | undefined) ?? 1,
    attrs['pad'] as 'same',
    attrs['dimRoundingMode'] as 'floor',
    depthwise,
    format,
  )
}
