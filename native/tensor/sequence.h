// The LSTM cell's pointwise part, softmax, softmax cross-entropy, dropout.
#pragma once

#include <cstdint>

namespace nodule::tensor {

/// One step of an LSTM over `rows` sequences. gates [rows, 4*units] = [x, h] * W without the bias, in TensorFlow's
/// order i, j, f, o; bias [4*units]; cell [rows, units] or null for zeros.
/// new_cell = cell * sigmoid(f) + sigmoid(i) * tanh(j); hidden = tanh(new_cell) * sigmoid(o).
void LstmCell(int64_t rows, int64_t units, const float* gates, const float* bias, const float* cell,
              float* new_cell, float* hidden);
/// Its gradient. d_cell [rows, units] holds the gradient of new_cell from the next step before, and that of cell
/// after; d_gates [rows, 4*units].
void LstmCellGradient(int64_t rows, int64_t units, const float* gates, const float* bias,
                      const float* cell, const float* new_cell, const float* d_hidden,
                      float* d_gates, float* d_cell);

/// Softmax over the last dim of [rows, n].
void Softmax(const float* logits, int64_t rows, int64_t n, float* out);

/// loss[r] = -sum_k labels[r,k] * log softmax(logits)[r,k]; softmax [rows, n] is returned for the gradient.
void SoftmaxCrossEntropy(const float* logits, const float* labels, int64_t rows, int64_t n,
                         float* loss, float* softmax);
/// d_logits[r,k] = d_loss[r] * (softmax[r,k] * sum_k labels[r,k] - labels[r,k]).
void SoftmaxCrossEntropyGradient(const float* softmax, const float* labels, const float* d_loss,
                                 int64_t rows, int64_t n, float* d_logits);

/// out[i] = x[i] * scale where hash(state + (i + 1) * 0x9e3779b9) >= limit, else 0; the hash is MurmurHash3's finalizer,
/// so a seed gives the same mask on every engine and again in the gradient.
void Dropout(const float* x, float* out, int64_t n, uint32_t state, uint32_t limit, float scale);

}  // namespace nodule::tensor
