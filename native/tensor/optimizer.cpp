#include "optimizer.h"

#include "threads.h"

namespace nodule::tensor {

int SlotsOf(Optimizer kind) {
  return kind == Optimizer::kAdam ? 2 : kind == Optimizer::kSgd ? 0 : 1;
}

void MoveWeights(Optimizer kind, const std::vector<MovedWeight>& weights, OptimizerParams p) {
  const Loops& loops = ActiveLoops();
  const Loops::Move moves[] = {loops.sgd, loops.momentum, loops.rmsprop, loops.adam};
  const auto move = moves[static_cast<int>(kind)];
  std::vector<int64_t> sizes;
  for (const MovedWeight& w : weights) sizes.push_back(w.n);
  ForEachRun(sizes, [&](size_t index, int64_t begin, int64_t end) {
    const MovedWeight& w = weights[index];
    OptimizerParams own = p;
    own.keep = w.keep;
    const auto slot = [&](int s) { return w.slots[s] == nullptr ? nullptr : w.slots[s] + begin; };
    move(w.weight + begin, slot(0), slot(1), w.gradient + begin, end - begin, own);
  });
}

void MoveAverages(const std::vector<MovedAverage>& averages, double momentum) {
  const auto move = ActiveLoops().move_average;
  std::vector<int64_t> sizes;
  for (const MovedAverage& a : averages) sizes.push_back(a.n);
  ForEachRun(sizes, [&](size_t index, int64_t begin, int64_t end) {
    const MovedAverage& a = averages[index];
    move(a.average + begin, a.value + begin, momentum, end - begin);
  });
}

}  // namespace nodule::tensor
