/** Types of numbers in files of weights; 'other' (text, complex numbers, quantized ones) can be listed, not read. */
export type NumberType =
  | 'float64'
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint64'
  | 'uint32'
  | 'uint16'
  | 'uint8'
  | 'bool'
  | 'other'

/** One tensor of a file; its values are read when they are asked for. */
export interface FileTensor {
  name: string
  shape: readonly number[]
  type: NumberType
  /** The values, row-major, as float32. Throws NoduleError (FILE, FORMAT, UNSUPPORTED). */
  read: () => Promise<Float32Array>
}

/** An open file of weights. */
export interface WeightsFile {
  path: string
  /** In words, such as "TensorFlow checkpoint (V2)". */
  format: string
  tensors: ReadonlyMap<string, FileTensor>
  /**
   * How convolutions lie, where the format settles it: TensorFlow [kh, kw, in, out], PyTorch and ONNX [out, in, kh, kw].
   * Undefined for safetensors, where the names tell.
   */
  layout?: 'HWIO' | 'OIHW' | undefined
  close: () => Promise<void>
}
