// 3x3 convolutions of stride 1 with fewer multiplications than a product has.
#pragma once

#include "convolution.h"

namespace nodule::tensor {

/// Whether the functions below are the faster ones: many channels, and enough pixels to be worth transforming the filter.
bool IsWinograd(const ConvShape& s);

/// Winograd's minimal filtering F(4x4, 3x3): a tile of 6x6 pixels and the filter become 36 numbers each (a channel), their
/// products become 4x4 pixels of the output. Over all tiles and channels that is 36 matrix products with a fourth of the
/// multiplications. Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, arXiv 1509.09308. Rounds
/// about five times as much as the plain sum: 2e-6 of the largest output (float32). Shapes as in convolution.h.
void WinogradForward(const ConvShape& s, const float* x, const float* filter, float* y);
void WinogradBackwardData(const ConvShape& s, const float* dy, const float* filter, float* dx);
void WinogradBackwardFilter(const ConvShape& s, const float* x, const float* dy, float* d_filter);

}  // namespace nodule::tensor
