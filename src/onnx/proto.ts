import protobuf from 'protobufjs'
import { NoduleError, describeError } from '../errors.js'

/**
 * The messages and fields of the ONNX format that this package writes and reads. Field numbers are those of the
 * published onnx.proto (IR version 8); fields that are not named here are skipped when a foreign file is read.
 */
const SCHEMA = `
  syntax = "proto2";
  message Attribute { optional string name = 1; optional float f = 2; optional int64 i = 3; optional bytes s = 4;
    optional Tensor t = 5; repeated float floats = 7; repeated int64 ints = 8; optional int32 type = 20; }
  message Node { repeated string input = 1; repeated string output = 2; optional string name = 3;
    optional string op_type = 4; repeated Attribute attribute = 5; optional string domain = 7; }
  message Tensor { repeated int64 dims = 1; optional int32 data_type = 2; optional string name = 8;
    optional bytes raw_data = 9; }
  message Dimension { optional int64 dim_value = 1; optional string dim_param = 2; }
  message Shape { repeated Dimension dim = 1; }
  message TensorType { optional int32 elem_type = 1; optional Shape shape = 2; }
  message Type { optional TensorType tensor_type = 1; }
  message ValueInfo { optional string name = 1; optional Type type = 2; optional string doc_string = 3; }
  message Graph { repeated Node node = 1; optional string name = 2; repeated Tensor initializer = 5;
    optional string doc_string = 10; repeated ValueInfo input = 11; repeated ValueInfo output = 12; }
  message OperatorSet { optional string domain = 1; optional int64 version = 2; }
  message Entry { optional string key = 1; optional string value = 2; }
  message Model { optional int64 ir_version = 1; optional string producer_name = 2;
    optional string producer_version = 3; optional Graph graph = 7; repeated OperatorSet opset_import = 8;
    repeated Entry metadata_props = 14; }
`

/** Values of TensorProto.DataType. */
export const DATA_TYPE = { float: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9 } as const

/** Values of AttributeProto.AttributeType. */
export const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7 } as const

export interface OnnxTensor {
  name?: string
  dims: number[]
  data_type: number
  /** The values, row-major, little endian. */
  raw_data: Uint8Array
}

export interface OnnxAttribute {
  name: string
  type: number
  f?: number
  i?: number
  s?: Uint8Array
  t?: OnnxTensor
  floats?: number[]
  ints?: number[]
}

export interface OnnxNode {
  name: string
  op_type: string
  input: string[]
  output: string[]
  attribute: OnnxAttribute[]
}

export interface OnnxValue {
  name: string
  doc_string?: string
  type: {
    tensor_type: { elem_type: number; shape: { dim: ({ dim_value: number } | { dim_param: string })[] } }
  }
}

export interface OnnxGraph {
  name: string
  doc_string?: string
  node: OnnxNode[]
  initializer: OnnxTensor[]
  input: OnnxValue[]
  output: OnnxValue[]
}

export interface OnnxModel {
  ir_version: number
  producer_name: string
  producer_version: string
  opset_import: { domain: string; version: number }[]
  graph: OnnxGraph
  metadata_props: { key: string; value: string }[]
}

const MODEL = protobuf.parse(SCHEMA, { keepCase: true }).root.lookupType('Model')

/** The bytes of an .onnx file. */
export function encodeModel(model: OnnxModel): Uint8Array {
  return MODEL.encode(MODEL.fromObject(model)).finish()
}

/**
 * Reads an .onnx file. Tensors are views on `bytes` where possible.
 * @param path for the error message
 * @throws NoduleError (FORMAT) where the bytes are not an ONNX model
 */
export function decodeModel(bytes: Uint8Array, path: string): OnnxModel {
  let value: Partial<OnnxModel>
  try {
    const message = MODEL.decode(bytes)
    value = MODEL.toObject(message, { longs: Number, arrays: true, defaults: false }) as Partial<OnnxModel>
  } catch (error) {
    throw new NoduleError('FORMAT', 'not an ONNX model, or damaged', {
      path,
      expected: 'ONNX protobuf',
      actual: `${bytes.length} bytes (${describeError(error)})`,
      cause: error,
    })
  }
  if (value.graph === undefined || (value.opset_import ?? []).length === 0) {
    throw new NoduleError('FORMAT', 'not an ONNX model, or damaged', {
      path,
      expected: 'ONNX protobuf with a graph and an operator set',
      actual: `${bytes.length} bytes without them`,
    })
  }
  return { ir_version: 0, producer_name: '', producer_version: '', ...value } as OnnxModel
}
