#include "layout.h"

#include <algorithm>
#include <cstring>

#include "loops.h"
#include "threads.h"

namespace nodule::tensor {
namespace {

// Drops dims of 1 and merges dims that are contiguous on both sides.
void Collapse(StridedCopy& c) {
  int rank = 0;
  for (int d = 0; d < c.rank; ++d) {
    if (c.dims[d] == 1) continue;
    if (rank > 0 && c.from[rank - 1] == c.from[d] * c.dims[d] &&
        c.to[rank - 1] == c.to[d] * c.dims[d]) {
      c.dims[rank - 1] *= c.dims[d];
      c.from[rank - 1] = c.from[d];
      c.to[rank - 1] = c.to[d];
      continue;
    }
    c.dims[rank] = c.dims[d];
    c.from[rank] = c.from[d];
    c.to[rank] = c.to[d];
    ++rank;
  }
  c.rank = rank;
}

template <typename T>
void CopyRun(const T* source, int64_t from, T* target, int64_t to, int64_t n) {
  if (from == 1 && to == 1) {
    std::memcpy(target, source, static_cast<size_t>(n) * sizeof(T));
  } else if (from == 0 && to == 1) {
    const T value = *source;
    for (int64_t i = 0; i < n; ++i) target[i] = value;
  } else {
    for (int64_t i = 0; i < n; ++i) target[i * to] = source[i * from];
  }
}

// The two innermost dims as a matrix whose rows are contiguous at the target and columns at the source.
template <typename T>
void CopyTransposed(const T* source, int64_t from, T* target, int64_t to, int64_t rows,
                    int64_t columns) {
  constexpr int64_t kTile = 16;
  for (int64_t r0 = 0; r0 < rows; r0 += kTile) {
    const int64_t r1 = r0 + kTile < rows ? r0 + kTile : rows;
    for (int64_t c0 = 0; c0 < columns; c0 += kTile) {
      const int64_t c1 = c0 + kTile < columns ? c0 + kTile : columns;
      for (int64_t r = r0; r < r1; ++r)
        for (int64_t k = c0; k < c1; ++k) target[r * to + k] = source[k * from + r];
    }
  }
}

template <typename T>
void Copy(StridedCopy c, const T* source, T* target) {
  // A transpose of the last dim: bring the dim that is contiguous at the source next to it.
  int inner = 1;
  bool transposed = false;
  if (c.rank >= 2 && c.to[c.rank - 1] == 1 && c.from[c.rank - 1] != 1) {
    for (int d = c.rank - 2; d >= 0; --d) {
      if (c.from[d] != 1) continue;
      const int64_t dim = c.dims[d], from = c.from[d], to = c.to[d];
      for (int e = d; e < c.rank - 2; ++e) {
        c.dims[e] = c.dims[e + 1];
        c.from[e] = c.from[e + 1];
        c.to[e] = c.to[e + 1];
      }
      c.dims[c.rank - 2] = dim;
      c.from[c.rank - 2] = from;
      c.to[c.rank - 2] = to;
      transposed = true;
      inner = 2;
      break;
    }
  }
  const int outer = c.rank - inner;
  int64_t runs = 1, length = 1;
  for (int d = 0; d < outer; ++d) runs *= c.dims[d];
  for (int d = outer; d < c.rank; ++d) length *= c.dims[d];
  if (runs == 0 || length == 0) return;
  if (outer <= 0 && !transposed) {
    const int64_t from = c.from[0], to = c.to[0];
    ParallelFor(length, 4 * kGrain, [&](int64_t b, int64_t e) {
      CopyRun(source + b * from, from, target + b * to, to, e - b);
    });
    return;
  }
  ParallelFor(runs, (2 * kGrain + length - 1) / length, [&](int64_t begin, int64_t end) {
    int64_t index[kMaxRank] = {};
    const T* s = source;
    T* t = target;
    int64_t rest = begin;
    for (int d = outer - 1; d >= 0; --d) {
      index[d] = rest % c.dims[d];
      rest /= c.dims[d];
      s += index[d] * c.from[d];
      t += index[d] * c.to[d];
    }
    for (int64_t r = begin; r < end; ++r) {
      if (transposed) {
        CopyTransposed(s, c.from[c.rank - 1], t, c.to[c.rank - 2], c.dims[c.rank - 2],
                       c.dims[c.rank - 1]);
      } else {
        CopyRun(s, c.from[c.rank - 1], t, c.to[c.rank - 1], length);
      }
      for (int d = outer - 1; d >= 0; --d) {
        s += c.from[d];
        t += c.to[d];
        if (++index[d] < c.dims[d]) break;
        s -= c.from[d] * c.dims[d];
        t -= c.to[d] * c.dims[d];
        index[d] = 0;
      }
    }
  });
}

}  // namespace

void CopyStrided(StridedCopy copy, const void* source, void* target, int size) {
  for (int d = 0; d < copy.rank; ++d)
    if (copy.dims[d] == 0) return;
  Collapse(copy);
  if (copy.rank == 0) {
    std::memcpy(target, source, static_cast<size_t>(size));
  } else if (size == 1) {
    Copy(copy, static_cast<const uint8_t*>(source), static_cast<uint8_t*>(target));
  } else {
    Copy(copy, static_cast<const uint32_t*>(source), static_cast<uint32_t*>(target));
  }
}

void Gather(const void* x, const int32_t* indices, int64_t batch, int64_t outer, int64_t n,
            int64_t count, int64_t inner, int size, void* out) {
  const int64_t bytes = inner * size;
  const auto* from = static_cast<const uint8_t*>(x);
  auto* to = static_cast<uint8_t*>(out);
  if (bytes == 0 || count == 0) return;
  ParallelFor(batch * outer * count, (4 * kGrain + bytes - 1) / bytes,
              [&](int64_t begin, int64_t end) {
                for (int64_t r = begin; r < end; ++r) {
                  const int64_t i = r % count;
                  const int64_t bo = r / count;
                  const int64_t row = bo * n + indices[bo / outer * count + i];
                  std::memcpy(to + r * bytes, from + row * bytes, static_cast<size_t>(bytes));
                }
              });
}

void SegmentSum(const float* x, const int32_t* segments, int64_t n, int64_t inner,
                int64_t segment_count, float* out) {
  std::memset(out, 0, static_cast<size_t>(segment_count * inner) * sizeof(float));
  const auto add = ActiveLoops().binary[static_cast<int>(BinaryOp::kAdd)][0];
  // Threads share the columns, never a sum.
  const int64_t work = n * inner;
  const int64_t grain = work > 0 ? std::max<int64_t>(16, inner * kGrain / work) : inner;
  ParallelFor(inner, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < n; ++i) {
      const int64_t s = segments[i];
      if (s < 0 || s >= segment_count) continue;
      float* target = out + s * inner + begin;
      add(target, x + i * inner + begin, target, end - begin);
    }
  });
}

}  // namespace nodule::tensor
