// Batch normalization over [rows, channels] (NHWC with rows = N*H*W), with the ReLU behind it fused in.
#pragma once

#include <cstdint>

namespace nodule::tensor {

struct NormShape {
  int64_t rows, channels;
  float epsilon;
  bool relu;
  /// Floats from a row of the result (forward), or of its gradient, to the next: more than `channels` where it is some
  /// channels of a larger tensor.
  int64_t pitch;
};

/// Training: mean and biased variance [channels] of x, y = relu((x - mean) / sqrt(variance + epsilon) * gamma + beta).
void BatchNormTraining(const NormShape& s, const float* x, const float* gamma, const float* beta,
                       float* y, float* mean, float* variance);
/// Inference: the same with the mean and variance given. gamma or beta may be null (1 and 0).
void BatchNormInference(const NormShape& s, const float* x, const float* gamma, const float* beta,
                        const float* mean, const float* variance, float* y);
/// Gradients of BatchNormTraining for x, gamma and beta, given its mean and variance. dx may be dy, where pitch is channels.
void BatchNormGradient(const NormShape& s, const float* x, const float* dy, const float* gamma,
                       const float* beta, const float* mean, const float* variance, float* dx,
                       float* d_gamma, float* d_beta);

}  // namespace nodule::tensor
