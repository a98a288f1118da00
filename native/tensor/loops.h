// The inner loops of all kernels that are ours: plain C++ over contiguous floats, compiled three times
// (baseline, AVX2+FMA, AVX-512) from loops_*.inc and chosen once at run time. They know no threads, no shapes.
#pragma once

#include <cstdint>

namespace nodule::tensor {

/// Order fixed: opcodes are handed to JavaScript by name (see BinaryNames).
enum class BinaryOp : int {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMaximum,
  kMinimum,
  kSquaredDifference,
  kPow,
  kMod,
  kAtan2,
  kPrelu,
  kEluGrad,
  kAddRelu,
  kReluGrad,
  kCount
};
enum class CompareOp : int {
  kEqual,
  kNotEqual,
  kGreater,
  kGreaterEqual,
  kLess,
  kLessEqual,
  kCount
};
enum class UnaryOp : int {
  kAbs,
  kNeg,
  kExp,
  kExpm1,
  kLog,
  kLog1p,
  kSqrt,
  kRsqrt,
  kSquare,
  kReciprocal,
  kSigmoid,
  kTanh,
  kRelu,
  kRelu6,
  kLeakyRelu,
  kElu,
  kSelu,
  kSoftplus,
  kStep,
  kSign,
  kFloor,
  kCeil,
  kRound,
  kClip,
  kSin,
  kCos,
  kErf,
  kAffine,
  kCount
};

/// Which operand of a binary loop is one number instead of a vector.
enum class Operands : int { kBoth, kScalarB, kScalarA };

using BinaryLoop = void (*)(const float* a, const float* b, float* out, int64_t n);
using CompareLoop = void (*)(const float* a, const float* b, uint8_t* out, int64_t n);
using UnaryLoop = void (*)(const float* x, float* out, int64_t n, float alpha, float beta);

struct OptimizerParams {
  float learning_rate;
  float decay;   // RMSProp: of the mean square; Adam: beta1; momentum: of the velocity
  float decay2;  // Adam: beta2
  float epsilon;
  float scale;  // of the gradient (global-norm clipping)
  float keep;   // AdamW: what is left of the weight before it is moved
};

/// A window of max pooling as a pixel in it sees it.
struct MaxSource {
  const uint8_t* places;
  const float* dy;
  int32_t number;  // of the pixel's tap
};

struct Loops {
  const char* isa;
  BinaryLoop binary[static_cast<int>(BinaryOp::kCount)][3];
  CompareLoop compare[static_cast<int>(CompareOp::kCount)][3];
  UnaryLoop unary[static_cast<int>(UnaryOp::kCount)];

  /// Sum, maximum, minimum, product of n contiguous floats.
  float (*sum)(const float* x, int64_t n);
  float (*sum_squares)(const float* x, int64_t n);
  float (*maximum)(const float* x, int64_t n);
  float (*minimum)(const float* x, int64_t n);
  float (*product)(const float* x, int64_t n);
  /// out[c] op= x[r * c_count + c] over the rows.
  void (*add_rows)(const float* x, int64_t rows, int64_t columns, float* out);
  void (*max_rows)(const float* x, int64_t rows, int64_t columns, float* out);
  void (*min_rows)(const float* x, int64_t rows, int64_t columns, float* out);
  void (*multiply_rows)(const float* x, int64_t rows, int64_t columns, float* out);
  void (*select)(const uint8_t* condition, const float* a, const float* b, float* out, int64_t n);

  /// Batch norm over rows of [rows, channels]: sums of (x - shift) and of its square. y and dy may lie in longer rows.
  void (*moments)(const float* x, const float* shift, int64_t rows, int64_t channels, float* sum,
                  float* sum_squares);
  /// y = x * scale + offset, optionally ReLU.
  void (*normalize)(const float* x, const float* scale, const float* offset, bool relu,
                    int64_t rows, int64_t channels, float* y, int64_t y_pitch);
  /// sum of g and of g * (x - mean), g = dy where the ReLU was open (x * scale + offset > 0).
  void (*norm_gradient_sums)(const float* x, const float* dy, int64_t dy_pitch, const float* mean,
                             const float* scale, const float* offset, bool relu, int64_t rows,
                             int64_t channels, float* sum_g, float* sum_gx);
  /// dx = g * a + x * b + c per channel.
  void (*norm_gradient)(const float* x, const float* dy, int64_t dy_pitch, const float* scale,
                        const float* offset, const float* a, const float* b, const float* c,
                        bool relu, int64_t rows, int64_t channels, float* dx);

  /// Pooling over channels: the first maximum of a window's taps with its number (places may be null); and the gradient
  /// of a pixel, which is the sum of dy of the windows whose maximum it was, in their order.
  void (*max_window)(const float* const* x, const int32_t* numbers, int taps, int64_t n, float* y,
                     uint8_t* places);
  void (*max_gradient)(const MaxSource* sources, int count, int64_t n, float* dx);
  /// out += x * scale.
  void (*add_scaled)(const float* x, float scale, float* out, int64_t n);

  /// out[c] += sum of a[t][c] * b[t][c] over the pairs t, in their order.
  void (*sum_products)(const float* const* a, const float* const* b, int64_t pairs, float* out,
                       int64_t n);

  /// Winograd's transforms of a square of numbers a channel into another, row by row: 6x6 pixels of the image to 6x6, 3x3 of
  /// the filter to 6x6, 6x6 products to 4x4 pixels of the output; and for the gradient of the filter 4x4 to 6x6, 6x6 to
  /// 3x3. Null pointers: zeros that are read, numbers that are not wanted.
  using Transform = void (*)(const float* const* from, float* const* to, int64_t channels);
  Transform winograd_image, winograd_filter, winograd_output;
  Transform winograd_output_gradient, winograd_filter_gradient;

  /// One row of an LSTM cell, gates [i, j, f, o] of `units` each; see sequence.h.
  void (*lstm_row)(const float* gates, const float* bias, const float* cell, int64_t units,
                   float* new_cell, float* hidden);
  void (*lstm_gradient_row)(const float* gates, const float* bias, const float* cell,
                            const float* new_cell, const float* d_hidden, int64_t units,
                            float* d_gates, float* d_cell);

  void (*softmax_row)(const float* logits, int64_t n, bool log, float* out);

  /// See sequence.h.
  void (*dropout)(const float* x, float* out, int64_t n, uint32_t state, uint32_t limit,
                  float scale);

  /// Optimizers over n weights; see optimizer.h. Slots that an optimizer lacks are null.
  using Move = void (*)(float* w, float* first, float* second, const float* g, int64_t n,
                        const OptimizerParams& p);
  Move sgd, momentum, rmsprop, adam;
  /// average = average * momentum + x * (1 - momentum), in double precision.
  void (*move_average)(float* average, const float* x, double momentum, int64_t n);
};

/// The loops for this machine's instruction set. NODULE_ISA=base|avx2|avx512 in the environment narrows it.
const Loops& ActiveLoops();

}  // namespace nodule::tensor
