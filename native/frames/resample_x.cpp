#include "frames/resample_x.h"

#include <algorithm>

#include "common/host_device.h"
#include "frames/frames_kernel.h"

#if NODULE_HAS_X86_TARGETS
#if !defined(__clang__)
// GCC 12 warns of its own intrinsics (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#endif

namespace nodule {

XPlan::XPlan(const FramesParams& params) {
  const FrameTaps& x = params.x;
  blocks = (x.size + kLanes - 1) / kLanes;
  for (size_t u = 0; u < x.size; u++)
    if (x.first[u] >= 0) taps = std::max<size_t>(taps, x.count[u]);
  base.assign(blocks, 0);
  narrow.assign(blocks, 1);
  index.assign(blocks * taps * kLanes, 0);
  weights.assign(blocks * taps * kLanes, 0);
  start.assign(blocks * kLanes, params.bias);
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
        start[block * kLanes + lane] = params.outside_level;
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

// One block of one line.
NODULE_CLONES void ResampleBlock(const XPlan& plan, size_t block, const float* line,
                                 uint8_t* gray) {
  const float* from = line + plan.base[block];
  const int32_t* index = plan.index.data() + block * plan.taps * kLanes;
  const float* weights = plan.weights.data() + block * plan.taps * kLanes;
  float levels[kLanes];
  for (size_t lane = 0; lane < kLanes; lane++) levels[lane] = plan.start[block * kLanes + lane];
  for (size_t n = 0; n < plan.taps; n++)
    for (size_t lane = 0; lane < kLanes; lane++)
      levels[lane] += weights[n * kLanes + lane] * from[index[n * kLanes + lane]];
  for (size_t lane = 0; lane < kLanes; lane++)
    gray[block * kLanes + lane] = static_cast<uint8_t>(FrameGray(levels[lane]));
}

void ResampleGeneric(const XPlan& plan, const float* lines, size_t pitch, size_t count,
                     uint8_t* gray, size_t gray_pitch) {
  for (size_t i = 0; i < count; i++)
    for (size_t block = 0; block < plan.blocks; block++)
      ResampleBlock(plan, block, lines + i * pitch, gray + i * gray_pitch);
}

#if NODULE_HAS_X86_TARGETS
#define NODULE_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl")))

// The inputs of 16 outputs are two vectors, from which each tap is picked by one permutation. The
// same products and sums, in the same order, as ResampleBlock. kTaps 0: as many as the plan says.
template <size_t kTaps>
NODULE_AVX512 void ResampleNarrow(const XPlan& plan, size_t block, const float* lines, size_t pitch,
                                  size_t count, uint8_t* gray, size_t gray_pitch) {
  const size_t taps = kTaps == 0 ? plan.taps : kTaps;
  const int32_t* index = plan.index.data() + block * taps * kLanes;
  const float* weights = plan.weights.data() + block * taps * kLanes;
  const __m512 start = _mm512_loadu_ps(plan.start.data() + block * kLanes);
  const __m512 zero = _mm512_setzero_ps(), white = _mm512_set1_ps(255.0f);
  // A byte store may change anything, as far as the compiler knows: keep what lines share in
  // registers.
  constexpr size_t kKept = kTaps == 0 ? 1 : kTaps;
  __m512i kept_index[kKept];
  __m512 kept_weights[kKept];
  for (size_t n = 0; n < kTaps; n++) {
    kept_index[n] = _mm512_loadu_si512(index + n * kLanes);
    kept_weights[n] = _mm512_loadu_ps(weights + n * kLanes);
  }
  const float* from = lines + plan.base[block];
  uint8_t* out = gray + block * kLanes;
  for (size_t i = 0; i < count; i++, from += pitch, out += gray_pitch) {
    __m512 a = _mm512_loadu_ps(from), b = _mm512_loadu_ps(from + kLanes);
    asm(""
        : "+v"(a),
          "+v"(b));  // loaded once: else each permutation loads them again, across two cache lines
    __m512 level = start;
    for (size_t n = 0; n < taps; n++) {
      const __m512i where = kTaps == 0 ? _mm512_loadu_si512(index + n * kLanes) : kept_index[n];
      const __m512 weight = kTaps == 0 ? _mm512_loadu_ps(weights + n * kLanes) : kept_weights[n];
      level = _mm512_add_ps(level, _mm512_mul_ps(weight, _mm512_permutex2var_ps(a, where, b)));
    }
    level = _mm512_min_ps(_mm512_max_ps(level, zero), white);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                     _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(level)));
  }
}

void ResampleAvx512(const XPlan& plan, const float* lines, size_t pitch, size_t count,
                    uint8_t* gray, size_t gray_pitch) {
  const auto narrow = plan.taps == 2   ? ResampleNarrow<2>
                      : plan.taps == 3 ? ResampleNarrow<3>
                      : plan.taps == 4 ? ResampleNarrow<4>
                                       : ResampleNarrow<0>;
  for (size_t block = 0; block < plan.blocks; block++) {
    if (plan.narrow[block])
      narrow(plan, block, lines, pitch, count, gray, gray_pitch);
    else
      for (size_t i = 0; i < count; i++)
        ResampleBlock(plan, block, lines + i * pitch, gray + i * gray_pitch);
  }
}
#endif

using ResampleFunction = decltype(&ResampleGeneric);

ResampleFunction ChooseResample() {
#if NODULE_HAS_X86_TARGETS
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    return ResampleAvx512;
#endif
  return ResampleGeneric;
}

}  // namespace

void ResampleLines(const XPlan& plan, const float* lines, size_t pitch, size_t count, uint8_t* gray,
                   size_t gray_pitch) {
  static const ResampleFunction resample = ChooseResample();
  resample(plan, lines, pitch, count, gray, gray_pitch);
}

}  // namespace nodule
