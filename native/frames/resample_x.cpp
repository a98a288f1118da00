#include "frames/resample_x.h"

#include <algorithm>

#include "common/host_device.h"
#include "common/x86.h"
#include "frames/frames_kernel.h"

namespace nodule {

XPlan::XPlan(const FramesParams& params) {
  const FrameTaps& x = params.x;
  for (size_t u = 0; u < x.size; u++)
    if (x.first[u] >= 0) count = std::max<size_t>(count, x.count[u]);
  blocks.resize((x.size + 2 * kFloatLanes - 1) / (2 * kFloatLanes) * 2);
  taps.resize(blocks.size() * count);  // zeros: the first input with weight 0
  for (size_t b = 0; b < blocks.size(); b++) {
    Block& block = blocks[b];
    std::fill_n(block.start, kFloatLanes, params.bias);
    const size_t begin = b * kFloatLanes, end = std::min(begin + kFloatLanes, x.size);
    int32_t low = INT32_MAX, high = 0;
    for (size_t u = begin; u < end; u++) {
      if (x.first[u] < 0) continue;
      low = std::min(low, x.first[u]);
      high = std::max(high, x.first[u] + x.count[u]);
    }
    if (low == INT32_MAX) low = static_cast<int32_t>(x.low);  // the whole block lies outside
    block.base = low - static_cast<int32_t>(x.low);
    block.narrow = high - low <= 32;
    for (size_t u = begin; u < end; u++) {
      const size_t lane = u - begin;
      if (x.first[u] < 0) {
        block.start[lane] = params.outside_level;
        continue;
      }
      for (int32_t n = 0; n < x.count[u]; n++) {
        taps[b * count + n].index[lane] = x.first[u] + n - low;
        taps[b * count + n].weight[lane] = x.weights[u * x.width + n];
      }
    }
  }
}

namespace {

// One block of one line.
NODULE_CLONES void ResampleBlock(const XPlan& plan, size_t b, const float* line, uint8_t* gray) {
  const XPlan::Block& block = plan.blocks[b];
  const float* from = line + block.base;
  float levels[kFloatLanes];
  std::copy_n(block.start, kFloatLanes, levels);
  for (size_t n = 0; n < plan.count; n++) {
    const XPlan::Tap& tap = plan.taps[b * plan.count + n];
    for (size_t lane = 0; lane < kFloatLanes; lane++)
      levels[lane] += tap.weight[lane] * from[tap.index[lane]];
  }
  for (size_t lane = 0; lane < kFloatLanes; lane++)
    gray[b * kFloatLanes + lane] = static_cast<uint8_t>(FrameGray(levels[lane]));
}

void ResampleGeneric(const XPlan& plan, const float* lines, size_t pitch, size_t count,
                     uint8_t* gray, size_t gray_pitch) {
  for (size_t i = 0; i < count; i++)
    for (size_t b = 0; b < plan.blocks.size(); b++)
      ResampleBlock(plan, b, lines + i * pitch, gray + i * gray_pitch);
}

#if NODULE_HAS_X86_TARGETS
// Sixteen levels as whole numbers; those below 0 stay so. The inputs are two vectors, from which each tap is picked by
// one permutation: the same products and sums, in the same order, as ResampleBlock.
template <size_t kTaps>
NODULE_AVX512_INLINE __m512i Levels(const float* from, __m512 start, const __m512i* index,
                                    const __m512* weights) {
  __m512 a = _mm512_loadu_ps(from), b = _mm512_loadu_ps(from + kFloatLanes);
  // Loaded once: else each permutation loads them again, across two cache lines.
  asm("" : "+v"(a), "+v"(b));
  __m512 level = start;
  for (size_t n = 0; n < kTaps; n++)
    level = _mm512_add_ps(level, _mm512_mul_ps(weights[n], _mm512_permutex2var_ps(a, index[n], b)));
  return _mm512_cvttps_epi32(_mm512_min_ps(level, _mm512_set1_ps(255.0f)));
}

// Two neighboring blocks, two lines at a time: what the lines share stays in registers, and four
// vectors of whole numbers become one of bytes (packing clamps at 0).
template <size_t kTaps>
NODULE_AVX512_INLINE void ResampleNarrow(const XPlan& plan, size_t b, const float* lines,
                                         size_t pitch, size_t count, uint8_t* gray,
                                         size_t gray_pitch) {
  __m512i index[2][kTaps];
  __m512 weights[2][kTaps];
  for (size_t k = 0; k < 2; k++)
    for (size_t n = 0; n < kTaps; n++) {
      const XPlan::Tap& tap = plan.taps[(b + k) * kTaps + n];
      index[k][n] = _mm512_load_si512(tap.index);
      weights[k][n] = _mm512_load_ps(tap.weight);
    }
  const XPlan::Block &block0 = plan.blocks[b], &block1 = plan.blocks[b + 1];
  const __m512 start0 = _mm512_load_ps(block0.start), start1 = _mm512_load_ps(block1.start);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const float *from0 = lines + block0.base, *from1 = lines + block1.base;
  uint8_t* out = gray + b * kFloatLanes;
  for (size_t i = 0; i < count; i += 2) {
    const size_t next = i + 1 < count ? pitch : 0, next_gray = i + 1 < count ? gray_pitch : 0;
    const __m512i words0 = _mm512_packs_epi32(Levels<kTaps>(from0, start0, index[0], weights[0]),
                                              Levels<kTaps>(from1, start1, index[1], weights[1]));
    const __m512i words1 =
        _mm512_packs_epi32(Levels<kTaps>(from0 + next, start0, index[0], weights[0]),
                           Levels<kTaps>(from1 + next, start1, index[1], weights[1]));
    const __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(words0, words1));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_castsi512_si256(bytes));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + next_gray),
                        _mm512_extracti64x4_epi64(bytes, 1));
    from0 += 2 * pitch;
    from1 += 2 * pitch;
    out += 2 * gray_pitch;
  }
}

template <size_t kTaps>
NODULE_AVX512 void ResampleAvx512(const XPlan& plan, const float* lines, size_t pitch, size_t count,
                                  uint8_t* gray, size_t gray_pitch) {
  for (size_t b = 0; b < plan.blocks.size(); b += 2) {
    if (plan.blocks[b].narrow && plan.blocks[b + 1].narrow) {
      ResampleNarrow<kTaps>(plan, b, lines, pitch, count, gray, gray_pitch);
      continue;
    }
    for (size_t i = 0; i < count; i++) {
      ResampleBlock(plan, b, lines + i * pitch, gray + i * gray_pitch);
      ResampleBlock(plan, b + 1, lines + i * pitch, gray + i * gray_pitch);
    }
  }
}
#endif

using ResampleFunction = decltype(&ResampleGeneric);

ResampleFunction ChooseResample(size_t taps) {
#if NODULE_HAS_X86_TARGETS
  if (HasAvx512()) switch (taps) {
      case 1:
        return ResampleAvx512<1>;
      case 2:
        return ResampleAvx512<2>;
      case 3:
        return ResampleAvx512<3>;
      case 4:
        return ResampleAvx512<4>;
    }
#endif
  (void)taps;
  return ResampleGeneric;
}

}  // namespace

void ResampleLines(const XPlan& plan, const float* lines, size_t pitch, size_t count, uint8_t* gray,
                   size_t gray_pitch) {
  ChooseResample(plan.count)(plan, lines, pitch, count, gray, gray_pitch);
}

}  // namespace nodule
