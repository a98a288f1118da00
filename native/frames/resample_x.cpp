#include "frames/resample_x.h"

#include <algorithm>

#include "common/host_device.h"
#include "frames/frames_kernel.h"

#if NODULE_HAS_CLONES
// GCC 12 warns of its own intrinsics (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#endif

namespace nodule {

XPlan::XPlan(const FrameTaps& x, float outside_hu) {
  blocks = (x.size + kLanes - 1) / kLanes;
  for (size_t u = 0; u < x.size; u++)
    if (x.first[u] >= 0) taps = std::max<size_t>(taps, x.count[u]);
  base.assign(blocks, 0);
  narrow.assign(blocks, 1);
  index.assign(blocks * taps * kLanes, 0);
  weights.assign(blocks * taps * kLanes, 0);
  outside.assign(blocks * kLanes, 0);
  for (size_t block = 0; block < blocks; block++) {
    const size_t begin = block * kLanes, end = std::min(begin + kLanes, x.size);
    int32_t low = INT32_MAX, high = 0;
    for (size_t u = begin; u < end; u++) {
      if (x.first[u] < 0) continue;
      low = std::min(low, x.first[u]);
      high = std::max(high, x.first[u] + x.count[u]);
    }
    if (low == INT32_MAX) low = static_cast<int32_t>(x.low);  // the whole block lies outside
    base[block] = low - static_cast<int32_t>(x.low);
    narrow[block] = high - low <= 32;
    for (size_t u = begin; u < end; u++) {
      const size_t lane = u - begin;
      if (x.first[u] < 0) {
        outside[block * kLanes + lane] = outside_hu;
        continue;
      }
      for (int32_t n = 0; n < x.count[u]; n++) {
        index[(block * taps + n) * kLanes + lane] = x.first[u] + n - low;
        weights[(block * taps + n) * kLanes + lane] = x.weights[u * x.width + n];
      }
    }
  }
}

namespace {

NODULE_CLONES void ResampleBlock(const XPlan& plan, size_t block, const float* line,
                                 float window_low, float window_scale, uint8_t* gray) {
  const float* from = line + plan.base[block];
  const int32_t* index = plan.index.data() + block * plan.taps * kLanes;
  const float* weights = plan.weights.data() + block * plan.taps * kLanes;
  float sums[kLanes];
  for (size_t lane = 0; lane < kLanes; lane++) sums[lane] = plan.outside[block * kLanes + lane];
  for (size_t n = 0; n < plan.taps; n++)
    for (size_t lane = 0; lane < kLanes; lane++)
      sums[lane] += weights[n * kLanes + lane] * from[index[n * kLanes + lane]];
  for (size_t lane = 0; lane < kLanes; lane++)
    gray[lane] = static_cast<uint8_t>(FrameGray(sums[lane], window_low, window_scale));
}

void ResampleGeneric(const XPlan& plan, const float* line, float window_low, float window_scale,
                     uint8_t* gray) {
  for (size_t block = 0; block < plan.blocks; block++)
    ResampleBlock(plan, block, line, window_low, window_scale, gray + block * kLanes);
}

#if NODULE_HAS_CLONES
// The inputs of 16 outputs are two vectors, from which each tap is picked by one permutation. The
// same products and sums, in the same order, as ResampleBlock.
__attribute__((target("avx512f,avx512bw,avx512vl"))) void ResampleAvx512(
    const XPlan& plan, const float* line, float window_low, float window_scale, uint8_t* gray) {
  const __m512 low = _mm512_set1_ps(window_low), scale = _mm512_set1_ps(window_scale);
  const __m512 half = _mm512_set1_ps(0.5f), zero = _mm512_setzero_ps(),
               white = _mm512_set1_ps(255.0f);
  for (size_t block = 0; block < plan.blocks; block++) {
    if (!plan.narrow[block]) {
      ResampleBlock(plan, block, line, window_low, window_scale, gray + block * kLanes);
      continue;
    }
    const float* from = line + plan.base[block];
    const __m512 a = _mm512_loadu_ps(from), b = _mm512_loadu_ps(from + kLanes);
    const int32_t* index = plan.index.data() + block * plan.taps * kLanes;
    const float* weights = plan.weights.data() + block * plan.taps * kLanes;
    __m512 sum = _mm512_loadu_ps(plan.outside.data() + block * kLanes);
    for (size_t n = 0; n < plan.taps; n++) {
      const __m512 picked = _mm512_permutex2var_ps(a, _mm512_loadu_si512(index + n * kLanes), b);
      sum = _mm512_add_ps(sum, _mm512_mul_ps(_mm512_loadu_ps(weights + n * kLanes), picked));
    }
    __m512 level = _mm512_add_ps(_mm512_mul_ps(_mm512_sub_ps(sum, low), scale), half);
    level = _mm512_min_ps(_mm512_max_ps(level, zero), white);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(gray + block * kLanes),
                     _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(level)));
  }
}
#endif

using ResampleFunction = void (*)(const XPlan&, const float*, float, float, uint8_t*);

ResampleFunction ChooseResample() {
#if NODULE_HAS_CLONES
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    return ResampleAvx512;
#endif
  return ResampleGeneric;
}

}  // namespace

void ResampleLine(const XPlan& plan, const float* line, float window_low, float window_scale,
                  uint8_t* gray) {
  static const ResampleFunction resample = ChooseResample();
  resample(plan, line, window_low, window_scale, gray);
}

}  // namespace nodule
