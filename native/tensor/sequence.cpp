#include "sequence.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "loops.h"
#include "threads.h"

namespace nodule::tensor {

namespace {
// Transcendental functions cost more than a load: share smaller parts.
int64_t RowGrain(int64_t width) { return std::max<int64_t>(1, 4096 / std::max<int64_t>(1, width)); }
}  // namespace

void LstmCell(int64_t rows, int64_t units, const float* gates, const float* bias, const float* cell,
              float* new_cell, float* hidden) {
  const auto loop = ActiveLoops().lstm_row;
  const std::vector<float> zeros(cell == nullptr ? units : 0);
  ParallelFor(rows, RowGrain(units), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      loop(gates + r * 4 * units, bias, cell == nullptr ? zeros.data() : cell + r * units, units,
           new_cell + r * units, hidden + r * units);
  });
}

void LstmCellGradient(int64_t rows, int64_t units, const float* gates, const float* bias,
                      const float* cell, const float* new_cell, const float* d_hidden,
                      float* d_gates, float* d_cell) {
  const auto loop = ActiveLoops().lstm_gradient_row;
  const std::vector<float> zeros(cell == nullptr ? units : 0);
  ParallelFor(rows, RowGrain(units), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      loop(gates + r * 4 * units, bias, cell == nullptr ? zeros.data() : cell + r * units,
           new_cell + r * units, d_hidden + r * units, units, d_gates + r * 4 * units,
           d_cell + r * units);
  });
}

void Softmax(const float* logits, int64_t rows, int64_t n, float* out) {
  const auto loop = ActiveLoops().softmax_row;
  ParallelFor(rows, RowGrain(n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) loop(logits + r * n, n, false, out + r * n);
  });
}

void SoftmaxCrossEntropy(const float* logits, const float* labels, int64_t rows, int64_t n,
                         float* loss, float* softmax) {
  const auto loop = ActiveLoops().softmax_row;
  ParallelFor(rows, RowGrain(n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* l = labels + r * n;
      float* s = softmax + r * n;
      loop(logits + r * n, n, true, s);
      float sum = 0;
      for (int64_t k = 0; k < n; ++k) sum -= l[k] != 0 ? l[k] * s[k] : 0.0f;
      loss[r] = sum;
      for (int64_t k = 0; k < n; ++k) s[k] = std::exp(s[k]);
    }
  });
}

void SoftmaxCrossEntropyGradient(const float* softmax, const float* labels, const float* d_loss,
                                 int64_t rows, int64_t n, float* d_logits) {
  ParallelFor(rows, RowGrain(n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float mass = 0;
      for (int64_t k = 0; k < n; ++k) mass += labels[r * n + k];
      for (int64_t k = 0; k < n; ++k)
        d_logits[r * n + k] = d_loss[r] * (softmax[r * n + k] * mass - labels[r * n + k]);
    }
  });
}

void Dropout(const float* x, float* out, int64_t n, uint32_t state, uint32_t limit, float scale) {
  const auto loop = ActiveLoops().dropout;
  ParallelFor(n, kGrain, [&](int64_t begin, int64_t end) {
    const uint32_t first = state + static_cast<uint32_t>(begin) * 0x9e3779b9u;
    loop(x + begin, out + begin, end - begin, first, limit, scale);
  });
}

}  // namespace nodule::tensor
