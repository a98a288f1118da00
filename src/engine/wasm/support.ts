import type { DataType, KernelConfig, NamedAttrMap, TensorInfo } from '@tensorflow/tfjs'
import { convInfo } from '../conv_info.js'
import type { Conv2DInfo } from '../conv_info.js'

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

/** The geometry of a convolution. */
export function nhwcInfo(
  attrs: NamedAttrMap,
  inShape: number[],
  filterShape: number[],
  depthwise = false,
): Conv2DInfo {
  const info = convInfo(attrs, inShape, filterShape, depthwise)
  if (info === undefined) throw new Error('the wasm engine convolves NHWC only')
  return info
}
