// Fused optimizer updates: every weight and slot is read and written once.
#pragma once

#include <cstdint>

#include "loops.h"

namespace nodule::tensor {

/// In place: s = decay * s + (1 - decay) * g^2; w -= learning_rate * g / sqrt(s + epsilon), g scaled first.
void RmsProp(int64_t n, float* w, float* mean_square, const float* g, const OptimizerParams& p);

/// In place: m = decay * m + (1 - decay) * g; v = decay2 * v + (1 - decay2) * g^2;
/// w -= learning_rate * m / (sqrt(v) + epsilon); the bias correction is part of the learning rate.
void Adam(int64_t n, float* w, float* m, float* v, const float* g, const OptimizerParams& p);

}  // namespace nodule::tensor
