// Kernels that move elements without computing: one strided copy serves Slice, Pad, Concat, Split, Pack, Tile,
// Reverse, StridedSlice and Transpose; gather and segment sum serve GatherV2 and its gradient.
#pragma once

#include <cstdint>

#include "elementwise.h"

namespace nodule::tensor {

/// A copy of dims elements with a stride (in elements, any sign, 0 repeats the source) on both sides.
struct StridedCopy {
  int rank = 0;
  int64_t dims[kMaxRank];
  int64_t from[kMaxRank];
  int64_t to[kMaxRank];
};

/// `source` and `target` already include the start offsets. `size` is the element size in bytes: 1 or 4.
void CopyStrided(StridedCopy copy, const void* source, void* target, int size);

/// out[b, o, i, :] = x[b, o, indices[b, i], :] with x [batch, outer, n, inner] of elements of `size` bytes; the
/// indices [batch, count] were checked.
void Gather(const void* x, const int32_t* indices, int64_t batch, int64_t outer, int64_t n,
            int64_t count, int64_t inner, int size, void* out);

/// out[s, :] = sum of x[i, :] where segments[i] == s; x [n, inner], out [segment_count, inner]. Ids outside
/// 0 .. segment_count-1 are dropped. Rows are added in their order.
void SegmentSum(const float* x, const int32_t* segments, int64_t n, int64_t inner,
                int64_t segment_count, float* out);

}  // namespace nodule::tensor
