// What happens to all weights of a model at once: every weight and slot is read and written once.
#pragma once

#include <cstdint>
#include <vector>

#include "loops.h"

namespace nodule::tensor {

/// In place, g scaled first:
/// - SGD: w -= learning_rate * g
/// - momentum: v = decay * v + g; w -= learning_rate * v
/// - RMSProp: s = decay * s + (1 - decay) * g^2; w -= learning_rate * g / sqrt(s + epsilon)
/// - Adam: m = decay * m + (1 - decay) * g; v = decay2 * v + (1 - decay2) * g^2;
///   w = keep * w - learning_rate * m / (sqrt(v) + epsilon); the bias correction is part of the learning rate.
enum class Optimizer : int { kSgd, kMomentum, kRmsProp, kAdam, kCount };

/// How many slots it has beside each weight.
int SlotsOf(Optimizer kind);

struct MovedWeight {
  int64_t n;
  float* weight;
  const float* gradient;
  float* slots[2];  // null where the optimizer has none
  float keep;       // 1, or what weight decay leaves
};

/// `p.keep` is each weight's own.
void MoveWeights(Optimizer kind, const std::vector<MovedWeight>& weights, OptimizerParams p);

struct MovedAverage {
  int64_t n;
  float* average;
  const float* value;
};

/// average = average * momentum + value * (1 - momentum), in place, in double precision.
void MoveAverages(const std::vector<MovedAverage>& averages, double momentum);

}  // namespace nodule::tensor
