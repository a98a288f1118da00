// Fused optimizer updates: every weight and slot is read and written once.
#pragma once

#include <cstdint>

#include "loops.h"

namespace nodule::tensor {

/// s' = decay * s + (1 - decay) * g^2; w' = w - learning_rate * g / sqrt(s' + epsilon), g scaled first.
void RmsProp(int64_t n, const float* w, const float* mean_square, const float* g, const OptimizerParams& p,
             float* new_w, float* new_mean_square);

/// m' = decay * m + (1 - decay) * g; v' = decay2 * v + (1 - decay2) * g^2;
/// w' = w - learning_rate * m' / (sqrt(v') + epsilon); the bias correction is part of the learning rate.
void Adam(int64_t n, const float* w, const float* m, const float* v, const float* g, const OptimizerParams& p,
          float* new_w, float* new_m, float* new_v);

}  // namespace nodule::tensor
