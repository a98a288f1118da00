import protobuf from 'protobufjs'

/**
 * The messages of TensorBoard's event files, only the fields that are written here. As in its own files the values are
 * members of oneofs: proto3 leaves a plain field that is 0 out, and TensorBoard such a value.
 * Source: tensorboard/compat/proto (event, summary, tensor, graph) and the protos of the plugins hparams and pr_curve.
 */
const SCHEMA = `
syntax = "proto3";
message Event {
  double wall_time = 1;
  int64 step = 2;
  oneof what { string file_version = 3; bytes graph_def = 4; Summary summary = 5; SessionLog session_log = 7; }
}
message SessionLog { int32 status = 1; }
message Summary { repeated Value value = 1; }
message Value {
  string tag = 1;
  oneof value { float simple_value = 2; Image image = 4; Histogram histo = 5; Tensor tensor = 8; }
  Metadata metadata = 9;
}
message Image { int32 height = 1; int32 width = 2; int32 colorspace = 3; bytes encoded_image_string = 4; }
message Histogram {
  double min = 1; double max = 2; double num = 3; double sum = 4; double sum_squares = 5;
  repeated double bucket_limit = 6; repeated double bucket = 7;
}
message Tensor {
  int32 dtype = 1; Shape tensor_shape = 2; repeated float float_val = 5; repeated bytes string_val = 8;
}
message Shape { repeated Dim dim = 2; }
message Dim { int64 size = 1; }
message Metadata { PluginData plugin_data = 1; }
message PluginData { string plugin_name = 1; bytes content = 2; }

message GraphDef { repeated NodeDef node = 1; }
message NodeDef { string name = 1; string op = 2; repeated string input = 3; map<string, AttrValue> attr = 5; }
message AttrValue { oneof value { bytes s = 2; AttrShape shape = 7; } }
message AttrShape { repeated Dim dim = 2; }

message PrCurvePluginData { int32 version = 1; uint32 num_thresholds = 2; }
message HParamsPluginData {
  int32 version = 1;
  oneof data { Experiment experiment = 2; SessionStart session_start_info = 3; }
}
message Experiment { double time_created_secs = 3; repeated HParamInfo hparam_infos = 4; repeated MetricInfo metric_infos = 5; }
message HParamInfo { string name = 1; int32 type = 4; bool differs = 7; }
message MetricInfo { MetricName name = 1; }
message MetricName { string group = 1; string tag = 2; }
message SessionStart { map<string, HValue> hparams = 1; double start_time_secs = 5; }
message HValue { oneof kind { double number_value = 2; string string_value = 3; bool bool_value = 4; } }
`
const { root } = protobuf.parse(SCHEMA, { keepCase: true })

export const Event = root.lookupType('Event')
export const GraphDef = root.lookupType('GraphDef')
export const PrCurvePluginData = root.lookupType('PrCurvePluginData')
export const HParamsPluginData = root.lookupType('HParamsPluginData')
