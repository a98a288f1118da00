#include "frames/hu_line.h"

#include <algorithm>
#include <cmath>

#include "common/host_device.h"
#include "common/x86.h"
#include "hu/hu_kernel.h"

namespace nodule {
namespace {

template <typename In>
NODULE_HD void General(const In* __restrict in, float* __restrict out, size_t count,
                       const LineRescale& r) {
  for (size_t i = 0; i < count; i++)
    out[i] = static_cast<float>(HuRound(HuValue(in[i], r.slope, r.intercept, r.padding_low,
                                                r.padding_high, r.clamp_low, r.clamp_high)));
}

// Slope 1 and a whole intercept: nothing to round.
template <typename In>
NODULE_HD void Shift(const In* __restrict in, float* __restrict out, size_t count,
                     const LineRescale& r) {
  const int shift = static_cast<int>(r.intercept), low = static_cast<int>(r.clamp_low),
            high = static_cast<int>(r.clamp_high);
  const bool no_padding = r.padding_low > r.padding_high;
  // One comparison instead of two: below the padding the difference wraps round to a large number.
  const uint32_t span = no_padding ? 0 : static_cast<uint32_t>(r.padding_high - r.padding_low);
  const int padding = no_padding ? 1 << 17 : r.padding_low;
  for (size_t i = 0; i < count; i++) {
    const int stored = in[i];
    const int value =
        static_cast<uint32_t>(stored - padding) <= span ? static_cast<int>(kAirHu) : stored + shift;
    out[i] = static_cast<float>(std::min(std::max(value, low), high));
  }
}

// target_clones cannot be put on a template: each type has its functions.
#define NODULE_HU_LINES(In)                                                                     \
  NODULE_CLONES void RunGeneral(const In* in, float* out, size_t count, const LineRescale& r) { \
    General(in, out, count, r);                                                                 \
  }                                                                                             \
  NODULE_CLONES void RunShift(const In* in, float* out, size_t count, const LineRescale& r) {   \
    Shift(in, out, count, r);                                                                   \
  }
NODULE_HU_LINES(uint8_t)
NODULE_HU_LINES(int16_t)
NODULE_HU_LINES(uint16_t)

template <typename In>
void ConvertGeneral(const HuLines& lines, const void* in, float* out, size_t count) {
  RunGeneral(static_cast<const In*>(in), out, count, lines.rescale());
}

template <typename In>
void ConvertShift(const HuLines& lines, const void* in, float* out, size_t count) {
  RunShift(static_cast<const In*>(in), out, count, lines.rescale());
}

#if NODULE_HAS_X86_TARGETS
struct Vectors {
  __m512i flip, add, padding, span, air, low, high;
  __mmask32 has_padding;
};

// 32 values: sums are clamped to the range of int16 by the addition itself.
NODULE_AVX512_INLINE void Convert32(const Vectors& v, __m512i value, __m512& first,
                                    __m512& second) {
  value = _mm512_xor_si512(value, v.flip);
  const __mmask32 padding =
      _mm512_mask_cmple_epu16_mask(v.has_padding, _mm512_sub_epi16(value, v.padding), v.span);
  value = _mm512_mask_mov_epi16(_mm512_adds_epi16(value, v.add), padding, v.air);
  value = _mm512_min_epi16(_mm512_max_epi16(value, v.low), v.high);
  first = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm512_castsi512_si256(value)));
  second = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(value, 1)));
}

NODULE_AVX512 void ConvertAvx512(const HuLines& lines, const void* in, float* out, size_t count) {
  const HuLines::Shift16& s = lines.shift();
  const Vectors v = {_mm512_load_si512(s.flip),    _mm512_load_si512(s.add),
                     _mm512_load_si512(s.padding), _mm512_load_si512(s.span),
                     _mm512_load_si512(s.air),     _mm512_load_si512(s.low),
                     _mm512_load_si512(s.high),    s.has_padding ? ~__mmask32{0} : 0};
  const int16_t* from = static_cast<const int16_t*>(in);
  __m512 first, second;
  size_t i = 0;
  for (; i + 32 <= count; i += 32) {
    Convert32(v, _mm512_loadu_si512(from + i), first, second);
    _mm512_storeu_ps(out + i, first);
    _mm512_storeu_ps(out + i + 16, second);
  }
  if (i == count) return;
  const __mmask32 rest = (__mmask32{1} << (count - i)) - 1;
  Convert32(v, _mm512_maskz_loadu_epi16(rest, from + i), first, second);
  _mm512_mask_storeu_ps(out + i, static_cast<__mmask16>(rest), first);
  _mm512_mask_storeu_ps(out + i + 16, static_cast<__mmask16>(rest >> 16), second);
}
#endif

}  // namespace

// Whether slices of this type can be converted in 16 bits here. Unsigned values are taken as 32768
// less, and the shift as 32768 more.
bool HuLines::MakeShift16(Stored stored) {
#if NODULE_HAS_X86_TARGETS
  const LineRescale& r = rescale_;
  const int bias = stored == Stored::kUint16 ? 32768 : 0;
  const int shift = static_cast<int>(r.intercept) + bias;
  if (!HasAvx512() || stored == Stored::kUint8 || shift < -32768 || shift > 32767) return false;
  const int first = std::max(r.padding_low - bias, -32768);
  const int last = std::min(r.padding_high - bias, 32767);
  const auto fill = [](int16_t(&to)[32], int value) {
    std::fill_n(to, 32, static_cast<int16_t>(value));
  };
  fill(shift_.flip, bias);
  fill(shift_.add, shift);
  fill(shift_.padding, first);
  fill(shift_.span, last - first);
  fill(shift_.air, static_cast<int>(kAirHu));
  fill(shift_.low, static_cast<int>(r.clamp_low));
  fill(shift_.high, static_cast<int>(r.clamp_high));
  shift_.has_padding = first <= last;
  convert_ = ConvertAvx512;
  return true;
#else
  (void)stored;
  return false;
#endif
}

HuLines::HuLines(const HuParams& params, size_t slice)
    : rescale_{params.slope[slice], params.intercept[slice], params.padding_low,
               params.padding_high, params.clamp_low,        params.clamp_high} {
  const LineRescale& r = rescale_;
  // As nearly all CT.
  const bool shift =
      r.slope == 1 && std::abs(r.intercept) <= 65536 && r.intercept == std::floor(r.intercept);
  if (shift && MakeShift16(params.stored)) return;
  switch (params.stored) {
    case Stored::kUint8:
      convert_ = shift ? ConvertShift<uint8_t> : ConvertGeneral<uint8_t>;
      break;
    case Stored::kInt16:
      convert_ = shift ? ConvertShift<int16_t> : ConvertGeneral<int16_t>;
      break;
    case Stored::kUint16:
      convert_ = shift ? ConvertShift<uint16_t> : ConvertGeneral<uint16_t>;
      break;
  }
}

}  // namespace nodule
