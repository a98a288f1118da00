// A convolution as many small ones, so that no thread waits for another inside of one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "convolution.h"
#include "onednn_plan.h"

namespace nodule::tensor {

/// A part of a convolution that is a convolution itself, of some of the images or of a band of rows of one.
struct ConvPiece {
  ConvShape shape;
  int64_t image, output;  // where its part of the image and of the output begins, in floats
};

/// How a convolution is cut.
enum class ConvCut {
  kOutputRows,  // forward, filter: every row of the output is in one piece; the images overlap
  kImageRows    // data: every row of the image is in one piece; the outputs overlap
};

/// Pieces that together are `s`, about `wanted` of them; `s` alone where it cannot be cut so.
std::vector<ConvPiece> CutConvolution(const ConvShape& s, ConvCut cut, int64_t wanted);

/// Computes a convolution piece by piece: threads take the next piece when they have finished one, each piece on one
/// thread. oneDNN itself halves the work by threads, and its filter gradients wait for each other by spinning: beside
/// another busy process that takes several times as long. Filter gradients of the pieces are added in order; how
/// many pieces there are, and so their last digits, depends on the number of threads.
/// @param make makes the plan of a piece: operands in the order of `roles`, the last one the result
/// @returns false where it is better not cut (one thread, little work, no fast code for a piece); nothing was computed
bool RunInPieces(PlanKind kind, const ConvShape& s, const std::array<ConvRole, 3>& roles,
                 const std::array<const float*, 3>& operands,
                 const std::function<std::unique_ptr<Plan>(const ConvShape&)>& make);

/// The key of a convolution's plan.
PlanKey ConvKey(PlanKind kind, const ConvShape& s);

}  // namespace nodule::tensor
