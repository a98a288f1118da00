#include <algorithm>
#include <cmath>

#include "common/parallel.h"
#include "common/stream_store.h"
#include "hu/hu.h"
#include "hu/hu_kernel.h"

namespace nodule {
namespace {

// How to convert voxels of one slice.
struct Rescale {
  float slope, intercept;
  int padding_low, padding_high;
  float clamp_low, clamp_high;
};

template <typename In>
NODULE_HD void General(const In* __restrict in, int16_t* __restrict out, size_t count,
                       const Rescale& r) {
  for (size_t i = 0; i < count; i++)
    out[i] = static_cast<int16_t>(HuRound(HuValue(in[i], r.slope, r.intercept, r.padding_low,
                                                  r.padding_high, r.clamp_low, r.clamp_high)));
}

template <typename In>
NODULE_HD void General(const In* __restrict in, float* __restrict out, size_t count,
                       const Rescale& r) {
  for (size_t i = 0; i < count; i++)
    out[i] = HuValue(in[i], r.slope, r.intercept, r.padding_low, r.padding_high, r.clamp_low,
                     r.clamp_high);
}

// Slope 1 and a whole intercept, as nearly all CT: the same result in whole numbers.
inline bool IsShift(const Rescale& r) {
  return r.slope == 1 && std::abs(r.intercept) <= 65536 && r.intercept == std::floor(r.intercept);
}

template <typename In>
NODULE_HD void Shift(const In* __restrict in, int16_t* __restrict out, size_t count,
                     const Rescale& r) {
  const int shift = static_cast<int>(r.intercept), low = static_cast<int>(r.clamp_low),
            high = static_cast<int>(r.clamp_high), air = static_cast<int>(kAirHu);
  for (size_t i = 0; i < count; i++) {
    const int stored = in[i];
    const bool padding = (stored >= r.padding_low) & (stored <= r.padding_high);
    const int value = padding ? air : stored + shift;
    out[i] = static_cast<int16_t>(std::min(std::max(value, low), high));
  }
}

// target_clones cannot be put on a template: each pair of types has its function.
#define NODULE_HU_LOOPS(In)                                                                   \
  NODULE_CLONES void RunGeneral(const In* in, int16_t* out, size_t count, const Rescale& r) { \
    General(in, out, count, r);                                                               \
  }                                                                                           \
  NODULE_CLONES void RunGeneral(const In* in, float* out, size_t count, const Rescale& r) {   \
    General(in, out, count, r);                                                               \
  }                                                                                           \
  NODULE_CLONES void RunShift(const In* in, int16_t* out, size_t count, const Rescale& r) {   \
    Shift(in, out, count, r);                                                                 \
  }
NODULE_HU_LOOPS(uint8_t)
NODULE_HU_LOOPS(int16_t)
NODULE_HU_LOOPS(uint16_t)

template <typename In>
inline void Convert(const In* in, int16_t* out, size_t count, const Rescale& r) {
  if (IsShift(r))
    RunShift(in, out, count, r);
  else
    RunGeneral(in, out, count, r);
}
template <typename In>
inline void Convert(const In* in, float* out, size_t count, const Rescale& r) {
  RunGeneral(in, out, count, r);
}

// Voxels that one thread takes at a time.
constexpr size_t kRun = 1 << 17;
// Voxels that are converted inside the L1 cache before they are streamed.
constexpr size_t kPiece = 2048;

template <typename In, typename Out>
void ConvertAll(const HuParams& params, Out* output) {
  const size_t runs_per_slice = (params.pixels + kRun - 1) / kRun;
  const bool stream = params.slices.size() * params.pixels * sizeof(Out) >= kStreamBytes;
  ParallelFor(params.slices.size() * runs_per_slice, 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++) {
      const size_t slice = i / runs_per_slice;
      const size_t start = i % runs_per_slice * kRun;
      const size_t count = std::min(kRun, params.pixels - start);
      const Rescale rescale = {params.slope[slice], params.intercept[slice], params.padding_low,
                               params.padding_high, params.clamp_low,        params.clamp_high};
      const In* in = static_cast<const In*>(params.slices[slice]) + start;
      Out* out = output + slice * params.pixels + start;
      if (!stream) {
        Convert(in, out, count, rescale);
        continue;
      }
      alignas(64) Out piece[kPiece];
      for (size_t done = 0; done < count; done += kPiece) {
        const size_t length = std::min(kPiece, count - done);
        Convert(in + done, piece, length, rescale);
        StreamCopy(out + done, piece, length * sizeof(Out));
      }
      StreamFence();
    }
  });
}

template <typename Out>
void ConvertStored(const HuParams& params, Out* output) {
  switch (params.stored) {
    case Stored::kUint8:
      return ConvertAll<uint8_t>(params, output);
    case Stored::kInt16:
      return ConvertAll<int16_t>(params, output);
    case Stored::kUint16:
      return ConvertAll<uint16_t>(params, output);
  }
}

}  // namespace

void HuConvertCpu(const HuParams& params) {
  if (params.output_int16 != nullptr)
    ConvertStored(params, params.output_int16);
  else if (params.output_float != nullptr)
    ConvertStored(params, params.output_float);
}

}  // namespace nodule
