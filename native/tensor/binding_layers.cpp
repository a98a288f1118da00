// Exports of convolution.h, depthwise.h, matrix_product.h, pool.h and norm.h.
#include "binding.h"
#include "convolution.h"
#include "depthwise.h"
#include "matrix_product.h"
#include "norm.h"
#include "pool.h"

namespace nodule::tensor {
namespace {

using Convolution = void (*)(const ConvShape&, const float*, const float*, float*);

// NAME(meta, first, second, result): meta holds the fields of ConvShape in their order. Depthwise: one filter a channel.
template <Convolution function, ConvRole first, ConvRole second, ConvRole result, bool depthwise>
Napi::Value ConvolutionCall(const Arguments& arguments) {
  const int32_t* m = arguments.Integers(0, 17);
  for (int i = 0; i < 17; ++i) arguments.Require(m[i] >= 0, 0, "sizes >= 0");
  const ConvShape s{m[0], m[1],  m[2],  m[3],  m[4],  m[5],  m[6],  m[7], m[8],
                    m[9], m[10], m[11], m[12], m[13], m[14], m[15], m[16]};
  arguments.Require(s.stride_height > 0 && s.stride_width > 0, 0, "strides > 0");
  arguments.Require(s.filter_height > 0 && s.filter_width > 0, 0, "filter sides > 0");
  if (depthwise)
    arguments.Require(s.in_channels == s.out_channels, 0, "as many channels out as in");
  const auto floats = [&](size_t i, ConvRole role) {
    if (role == ConvRole::kImage)
      return arguments.Floats(
          i, arguments.Product(0, {s.batch, s.in_height, s.in_width, s.in_channels}));
    if (role == ConvRole::kOutput)
      return arguments.Floats(
          i, arguments.Product(0, {s.batch, s.out_height, s.out_width, s.out_channels}));
    const int64_t filters = depthwise ? 1 : s.out_channels;
    return arguments.Floats(
        i, arguments.Product(0, {s.filter_height, s.filter_width, s.in_channels, filters}));
  };
  function(s, floats(1, first), floats(2, second), floats(3, result));
  return arguments.Env().Undefined();
}

template <Convolution forward, Convolution data, Convolution filter, bool depthwise>
void SetConvolution(Napi::Object exports, const std::string& name) {
  constexpr ConvRole x = ConvRole::kImage, w = ConvRole::kFilter, y = ConvRole::kOutput;
  Set<ConvolutionCall<forward, x, w, y, depthwise>>(exports, (name + "Forward").c_str());
  Set<ConvolutionCall<data, y, w, x, depthwise>>(exports, (name + "BackwardData").c_str());
  Set<ConvolutionCall<filter, x, y, w, depthwise>>(exports, (name + "BackwardFilter").c_str());
}

// matMul(transposeA, transposeB, m, n, k, a, aOffset, b, bOffset, c, cOffset, accumulate, pitchA?, pitchC?)
Napi::Value MatMulCall(const Arguments& arguments) {
  const bool transpose_a = arguments.Boolean(0), transpose_b = arguments.Boolean(1);
  const int64_t m = arguments.Size(2), n = arguments.Size(3), k = arguments.Size(4);
  const int64_t a = arguments.Size(6), b = arguments.Size(8), c = arguments.Size(10);
  Pitches pitch = PitchesOf(transpose_a, transpose_b, m, n, k);
  const auto widen = [&](size_t i, int64_t& own) {
    if (arguments.Missing(i)) return;
    const int64_t wanted = arguments.Size(i);
    arguments.Require(wanted >= own, i, "pitch of at least a row");
    own = wanted;
  };
  widen(12, pitch.a);
  widen(13, pitch.c);
  const auto reach = [&](int64_t start, int64_t rows, int64_t columns, int64_t row_pitch) {
    return start + (rows == 0 ? 0 : arguments.Product(2, {rows - 1, row_pitch}) + columns);
  };
  const int64_t a_end = transpose_a ? reach(a, k, m, pitch.a) : reach(a, m, k, pitch.a);
  MatMul(transpose_a, transpose_b, m, n, k, arguments.Floats(5, a_end) + a,
         arguments.Floats(7, b + arguments.Product(4, {k, n})) + b,
         arguments.Floats(9, reach(c, m, n, pitch.c)) + c, arguments.Boolean(11), pitch);
  return arguments.Env().Undefined();
}

struct PoolCall {
  PoolShape shape;
  int64_t input, output;
};

PoolCall PoolOf(const Arguments& arguments) {
  const int32_t* m = arguments.Integers(0, 14);
  for (int i = 0; i < 14; ++i) arguments.Require(m[i] >= 0, 0, "sizes >= 0");
  const PoolShape s{m[0], m[1], m[2], m[3],  m[4],  m[5],  m[6],
                    m[7], m[8], m[9], m[10], m[11], m[12], m[13]};
  arguments.Require(s.stride_height > 0 && s.stride_width > 0, 0, "strides > 0");
  return {s, arguments.Product(0, {s.batch, s.in_height, s.in_width, s.channels}),
          arguments.Product(0, {s.batch, s.out_height, s.out_width, s.channels})};
}

// The places of max pooling.
uint8_t* PlacesOf(const Arguments& arguments, size_t i, const PoolCall& p) {
  arguments.Require(p.shape.filter_height * p.shape.filter_width <= kMostTaps, 0,
                    "a window of at most " + std::to_string(kMostTaps) + " taps");
  return arguments.Bytes(i, p.output);
}

// maxPool(meta, x, y, places?)
Napi::Value MaxPoolCall(const Arguments& arguments) {
  const PoolCall p = PoolOf(arguments);
  MaxPool(p.shape, arguments.Floats(1, p.input), arguments.Floats(2, p.output),
          arguments.Missing(3) ? nullptr : PlacesOf(arguments, 3, p));
  return arguments.Env().Undefined();
}
// averagePool(meta, x, y)
Napi::Value AveragePoolCall(const Arguments& arguments) {
  const PoolCall p = PoolOf(arguments);
  AveragePool(p.shape, arguments.Floats(1, p.input), arguments.Floats(2, p.output));
  return arguments.Env().Undefined();
}
// maxPoolGradient(meta, places, dy, dx)
Napi::Value MaxPoolGradientCall(const Arguments& arguments) {
  const PoolCall p = PoolOf(arguments);
  MaxPoolGradient(p.shape, PlacesOf(arguments, 1, p), arguments.Floats(2, p.output),
                  arguments.Floats(3, p.input));
  return arguments.Env().Undefined();
}
// averagePoolGradient(meta, dy, dx)
Napi::Value AveragePoolGradientCall(const Arguments& arguments) {
  const PoolCall p = PoolOf(arguments);
  AveragePoolGradient(p.shape, arguments.Floats(1, p.output), arguments.Floats(2, p.input));
  return arguments.Env().Undefined();
}

NormShape NormOf(const Arguments& arguments) {
  return {arguments.Size(0), arguments.Size(1), static_cast<float>(arguments.Number(2)),
          arguments.Boolean(3), arguments.Size(1)};
}

// The part of `tensor` [rows, pitch] that a batch norm writes, or whose gradient it reads: its channels from `start` on.
float* PartOf(const Arguments& arguments, size_t tensor, size_t first, NormShape& s) {
  const int64_t start = arguments.Size(first);
  s.pitch = arguments.Size(first + 1);
  arguments.Require(start + s.channels <= s.pitch, first, "channels within the pitch");
  return arguments.Floats(tensor, arguments.Product(first + 1, {s.rows, s.pitch})) + start;
}

// batchNormTraining(rows, channels, epsilon, relu, x, gamma, beta, y, mean, variance, start, pitch): y is a part
Napi::Value BatchNormTrainingCall(const Arguments& arguments) {
  NormShape s = NormOf(arguments);
  const int64_t n = arguments.Product(0, {s.rows, s.channels}), c = s.channels;
  float* y = PartOf(arguments, 7, 10, s);
  BatchNormTraining(s, arguments.Floats(4, n), arguments.FloatsOrNull(5, c),
                    arguments.FloatsOrNull(6, c), y, arguments.Floats(8, c),
                    arguments.Floats(9, c));
  return arguments.Env().Undefined();
}

// batchNormInference(rows, channels, epsilon, relu, x, gamma, beta, mean, variance, y)
Napi::Value BatchNormInferenceCall(const Arguments& arguments) {
  const NormShape s = NormOf(arguments);
  const int64_t n = arguments.Product(0, {s.rows, s.channels}), c = s.channels;
  BatchNormInference(s, arguments.Floats(4, n), arguments.FloatsOrNull(5, c),
                     arguments.FloatsOrNull(6, c), arguments.Floats(7, c), arguments.Floats(8, c),
                     arguments.Floats(9, n));
  return arguments.Env().Undefined();
}

// batchNormGradient(rows, channels, epsilon, relu, x, dy, gamma, beta, mean, variance, dx, dGamma, dBeta, start, pitch): dy
// is a part
Napi::Value BatchNormGradientCall(const Arguments& arguments) {
  NormShape s = NormOf(arguments);
  const int64_t n = arguments.Product(0, {s.rows, s.channels}), c = s.channels;
  const float* dy = PartOf(arguments, 5, 13, s);
  BatchNormGradient(s, arguments.Floats(4, n), dy, arguments.FloatsOrNull(6, c),
                    arguments.FloatsOrNull(7, c), arguments.Floats(8, c), arguments.Floats(9, c),
                    arguments.Floats(10, n), arguments.Floats(11, c), arguments.Floats(12, c));
  return arguments.Env().Undefined();
}

}  // namespace

void RegisterLayers(Napi::Object exports) {
  SetConvolution<ConvForward, ConvBackwardData, ConvBackwardFilter, false>(exports, "conv");
  SetConvolution<DepthwiseForward, DepthwiseBackwardData, DepthwiseBackwardFilter, true>(
      exports, "depthwise");
  Set<MatMulCall>(exports, "matMul");
  Set<MaxPoolCall>(exports, "maxPool");
  Set<AveragePoolCall>(exports, "averagePool");
  Set<MaxPoolGradientCall>(exports, "maxPoolGradient");
  Set<AveragePoolGradientCall>(exports, "averagePoolGradient");
  Set<BatchNormTrainingCall>(exports, "batchNormTraining");
  Set<BatchNormInferenceCall>(exports, "batchNormInference");
  Set<BatchNormGradientCall>(exports, "batchNormGradient");
}

}  // namespace nodule::tensor
