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
                n = rows * units;
  const float* gates = arguments.Floats(3, (step + 1) * 4 * n) + step * 4 * n;
  float* cell = arguments.Floats(5, (step + 1) * n) + step * n;
  LstmCell(rows, units, gates, arguments.Floats(4, 4 * units), step == 0 ? nullptr : cell - n, cell,
           arguments.Floats(6, (step + 1) * n) + step * n);
  return arguments.Env().Undefined();
}

// lstmCellGradient(rows, units, step, gates, bias, cells, dHidden [rows, units], dGates, dCell [rows, units])
Napi::Value LstmCellGradientCall(const Arguments& arguments) {
  const int64_t rows = arguments.Size(0), units = arguments.Size(1), step = arguments.Size(2),
                n = rows * units;
  const float* gates = arguments.Floats(3, (step + 1) * 4 * n) + step * 4 * n;
  const float* cell = arguments.Floats(5, (step + 1) * n) + step * n;
  LstmCellGradient(rows, units, gates, arguments.Floats(4, 4 * units),
                   step == 0 ? nullptr : cell - n, cell, arguments.Floats(6, n),
                   arguments.Floats(7, (step + 1) * 4 * n) + step * 4 * n, arguments.Floats(8, n));
  return arguments.Env().Undefined();
}

// softmax(logits, rows, n, out)
Napi::Value SoftmaxCall(const Arguments& arguments) {
  const int64_t rows = arguments.Size(1), n = arguments.Size(2);
  Softmax(arguments.Floats(0, rows * n), rows, n, arguments.Floats(3, rows * n));
  return arguments.Env().Undefined();
}

// softmaxCrossEntropy(logits, labels, rows, n, loss, softmax)
Napi::Value SoftmaxCrossEntropyCall(const Arguments& arguments) {
  const int64_t rows = arguments.Size(2), n = arguments.Size(3);
  SoftmaxCrossEntropy(arguments.Floats(0, rows * n), arguments.Floats(1, rows * n), rows, n,
                      arguments.Floats(4, rows), arguments.Floats(5, rows * n));
  return arguments.Env().Undefined();
}

// softmaxCrossEntropyGradient(softmax, labels, dLoss, rows, n, dLogits)
Napi::Value SoftmaxCrossEntropyGradientCall(const Arguments& arguments) {
  const int64_t rows = arguments.Size(3), n = arguments.Size(4);
  SoftmaxCrossEntropyGradient(arguments.Floats(0, rows * n), arguments.Floats(1, rows * n),
                              arguments.Floats(2, rows), rows, n, arguments.Floats(5, rows * n));
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

// sumOfSquares(x)
Napi::Value SumOfSquaresCall(const Arguments& arguments) {
  const int64_t n = arguments.Any(0).length;
  return Napi::Number::New(arguments.Env(), SumOfSquares(arguments.Floats(0, n), n));
}

OptimizerParams ParamsOf(const Arguments& arguments) {
  return {static_cast<float>(arguments.Number(0)), static_cast<float>(arguments.Number(1)),
          static_cast<float>(arguments.Number(2)), static_cast<float>(arguments.Number(3)),
          static_cast<float>(arguments.Number(4))};
}

// rmsProp(learningRate, decay, 0, epsilon, scale, weight, meanSquare, gradient): in place
Napi::Value RmsPropCall(const Arguments& arguments) {
  const int64_t n = arguments.Any(5).length;
  RmsProp(n, arguments.Floats(5, n), arguments.Floats(6, n), arguments.Floats(7, n),
          ParamsOf(arguments));
  return arguments.Env().Undefined();
}

// adam(learningRate, beta1, beta2, epsilon, scale, weight, m, v, gradient): in place
Napi::Value AdamCall(const Arguments& arguments) {
  const int64_t n = arguments.Any(5).length;
  Adam(n, arguments.Floats(5, n), arguments.Floats(6, n), arguments.Floats(7, n),
       arguments.Floats(8, n), ParamsOf(arguments));
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
  Set<RmsPropCall>(exports, "rmsProp");
  Set<AdamCall>(exports, "adam");
}

}  // namespace nodule::tensor
