// Exports of sequence.h and optimizer.h.
#include "binding.h"
#include "optimizer.h"
#include "reduce.h"
#include "sequence.h"

namespace nodule::tensor {
namespace {

// lstmCell(rows, units, step, gates, bias, cells, hidden): gates, cells and hidden hold all steps; step 0 starts from 0.
Napi::Value LstmCellCall(const Arguments& arguments) {
  const int64_t rows = arguments.Size(0), units = arguments.Size(1), step = arguments.Size(2),
                n = arguments.Product(0, {rows, units});
  const int64_t all = arguments.Product(2, {step + 1, n}),
                gate_count = arguments.Product(2, {4, all});
  const float* gates = arguments.Floats(3, gate_count) + step * 4 * n;
  float* cell = arguments.Floats(5, all) + step * n;
  LstmCell(rows, units, gates, arguments.Floats(4, 4 * units), step == 0 ? nullptr : cell - n, cell,
           arguments.Floats(6, all) + step * n);
  return arguments.Env().Undefined();
}

// lstmCellGradient(rows, units, step, gates, bias, cells, dHidden [rows, units], dGates, dCell [rows, units])
Napi::Value LstmCellGradientCall(const Arguments& arguments) {
  const int64_t rows = arguments.Size(0), units = arguments.Size(1), step = arguments.Size(2),
                n = arguments.Product(0, {rows, units});
  const int64_t all = arguments.Product(2, {step + 1, n}),
                gate_count = arguments.Product(2, {4, all});
  const float* gates = arguments.Floats(3, gate_count) + step * 4 * n;
  const float* cell = arguments.Floats(5, all) + step * n;
  LstmCellGradient(rows, units, gates, arguments.Floats(4, 4 * units),
                   step == 0 ? nullptr : cell - n, cell, arguments.Floats(6, n),
                   arguments.Floats(7, gate_count) + step * 4 * n, arguments.Floats(8, n));
  return arguments.Env().Undefined();
}

// softmax(logits, rows, n, out)
Napi::Value SoftmaxCall(const Arguments& arguments) {
  const int64_t rows = arguments.Size(1), n = arguments.Size(2);
  const int64_t total = arguments.Product(1, {rows, n});
  Softmax(arguments.Floats(0, total), rows, n, arguments.Floats(3, total));
  return arguments.Env().Undefined();
}

// softmaxCrossEntropy(logits, labels, rows, n, loss, softmax)
Napi::Value SoftmaxCrossEntropyCall(const Arguments& arguments) {
  const int64_t rows = arguments.Size(2), n = arguments.Size(3);
  const int64_t total = arguments.Product(2, {rows, n});
  SoftmaxCrossEntropy(arguments.Floats(0, total), arguments.Floats(1, total), rows, n,
                      arguments.Floats(4, rows), arguments.Floats(5, total));
  return arguments.Env().Undefined();
}

// softmaxCrossEntropyGradient(softmax, labels, dLoss, rows, n, dLogits)
Napi::Value SoftmaxCrossEntropyGradientCall(const Arguments& arguments) {
  const int64_t rows = arguments.Size(3), n = arguments.Size(4);
  const int64_t total = arguments.Product(3, {rows, n});
  SoftmaxCrossEntropyGradient(arguments.Floats(0, total), arguments.Floats(1, total),
                              arguments.Floats(2, rows), rows, n, arguments.Floats(5, total));
  return arguments.Env().Undefined();
}

// dropout(x, out, state, limit, scale)
Napi::Value DropoutCall(const Arguments& arguments) {
  const int64_t n = arguments.Any(1).length;
  Dropout(arguments.Floats(0, n), arguments.Floats(1, n), n,
          static_cast<uint32_t>(arguments.Size(2)), static_cast<uint32_t>(arguments.Size(3)),
          static_cast<float>(arguments.Number(4)));
  return arguments.Env().Undefined();
}

// sumOfSquares(list): of all elements of all arrays
Napi::Value SumOfSquaresCall(const Arguments& arguments) {
  std::vector<FloatRange> arrays;
  for (const Buffer& b : arguments.FloatArrays(0))
    arrays.push_back({static_cast<const float*>(b.data), b.length});
  return Napi::Number::New(arguments.Env(), SumOfSquares(arrays));
}

// moveWeights(kind, learningRate, decay, decay2, epsilon, scale, keep, weights, gradients, firstSlots, secondSlots): in
// place; keep [weights]; lists of slots that the optimizer lacks are empty.
Napi::Value MoveWeightsCall(const Arguments& arguments) {
  const auto kind =
      static_cast<Optimizer>(arguments.Opcode(0, static_cast<int>(Optimizer::kCount)));
  const auto number = [&](size_t i) { return static_cast<float>(arguments.Number(i)); };
  const OptimizerParams params{number(1), number(2), number(3), number(4), number(5), 1.0f};
  const auto weights = arguments.FloatArrays(7), gradients = arguments.FloatArrays(8);
  const std::vector<Buffer> slots[] = {arguments.FloatArrays(9), arguments.FloatArrays(10)};
  const size_t count = weights.size();
  const float* keep = arguments.Floats(6, static_cast<int64_t>(count));
  const auto has = [&](const std::vector<Buffer>& list, size_t i, size_t argument) {
    arguments.Require(i < list.size() && list[i].length == weights[i].length, argument,
                      "arrays as long as the weights");
    return static_cast<float*>(list[i].data);
  };
  std::vector<MovedWeight> moved;
  for (size_t i = 0; i < count; ++i) {
    MovedWeight w{weights[i].length, has(weights, i, 7), has(gradients, i, 8), {}, keep[i]};
    for (int s = 0; s < SlotsOf(kind); ++s) w.slots[s] = has(slots[s], i, 9 + s);
    moved.push_back(w);
  }
  MoveWeights(kind, moved, params);
  return arguments.Env().Undefined();
}

// moveAverages(momentum, averages, values): in place
Napi::Value MoveAveragesCall(const Arguments& arguments) {
  const auto averages = arguments.FloatArrays(1), values = arguments.FloatArrays(2);
  std::vector<MovedAverage> moved;
  for (size_t i = 0; i < averages.size(); ++i) {
    arguments.Require(i < values.size() && values[i].length == averages[i].length, 2,
                      "arrays as long as the averages");
    moved.push_back({averages[i].length, static_cast<float*>(averages[i].data),
                     static_cast<const float*>(values[i].data)});
  }
  MoveAverages(moved, arguments.Number(0));
  return arguments.Env().Undefined();
}

}  // namespace

void RegisterTraining(Napi::Object exports) {
  Set<LstmCellCall>(exports, "lstmCell");
  Set<LstmCellGradientCall>(exports, "lstmCellGradient");
  Set<SoftmaxCall>(exports, "softmax");
  Set<SoftmaxCrossEntropyCall>(exports, "softmaxCrossEntropy");
  Set<SoftmaxCrossEntropyGradientCall>(exports, "softmaxCrossEntropyGradient");
  Set<DropoutCall>(exports, "dropout");
  Set<SumOfSquaresCall>(exports, "sumOfSquares");
  Set<MoveWeightsCall>(exports, "moveWeights");
  Set<MoveAveragesCall>(exports, "moveAverages");
  // In the order of optimizer.h.
  exports.Set("optimizers", Names(exports.Env(), {"SGD", "momentum", "RMS", "Adam"}));
}

}  // namespace nodule::tensor
