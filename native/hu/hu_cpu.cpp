#include <algorithm>

#include "common/parallel.h"
#include "hu/hu.h"
#include "hu/hu_kernel.h"

namespace nodule {
namespace {

// One run of voxels of one slice.
struct Run {
  size_t count;
  float slope, intercept;
  int padding_low, padding_high;
  float clamp_low, clamp_high;
};

template <typename In>
NODULE_HD void Loop(const In* __restrict in, int16_t* __restrict out, const Run& run) {
  const Run r = run;
  for (size_t i = 0; i < r.count; i++)
    out[i] = static_cast<int16_t>(HuRound(HuValue(in[i], r.slope, r.intercept, r.padding_low,
                                                  r.padding_high, r.clamp_low, r.clamp_high)));
}

template <typename In>
NODULE_HD void Loop(const In* __restrict in, float* __restrict out, const Run& run) {
  const Run r = run;
  for (size_t i = 0; i < r.count; i++)
    out[i] = HuValue(in[i], r.slope, r.intercept, r.padding_low, r.padding_high, r.clamp_low,
                     r.clamp_high);
}

// target_clones cannot be put on a template: each pair of types has its function.
NODULE_CLONES void Convert(const uint8_t* in, int16_t* out, const Run& run) { Loop(in, out, run); }
NODULE_CLONES void Convert(const int16_t* in, int16_t* out, const Run& run) { Loop(in, out, run); }
NODULE_CLONES void Convert(const uint16_t* in, int16_t* out, const Run& run) { Loop(in, out, run); }
NODULE_CLONES void Convert(const uint8_t* in, float* out, const Run& run) { Loop(in, out, run); }
NODULE_CLONES void Convert(const int16_t* in, float* out, const Run& run) { Loop(in, out, run); }
NODULE_CLONES void Convert(const uint16_t* in, float* out, const Run& run) { Loop(in, out, run); }

// Voxels that one thread takes at a time: 128 KiB of int16, well inside an L2 cache.
constexpr size_t kRun = 1 << 16;

template <typename In, typename Out>
void ConvertAll(const HuParams& params, Out* output) {
  const size_t runs_per_slice = (params.pixels + kRun - 1) / kRun;
  ParallelFor(params.slices.size() * runs_per_slice, 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++) {
      const size_t slice = i / runs_per_slice;
      const size_t start = i % runs_per_slice * kRun;
      const Run run = {std::min(kRun, params.pixels - start),
                       params.slope[slice],
                       params.intercept[slice],
                       params.padding_low,
                       params.padding_high,
                       params.clamp_low,
                       params.clamp_high};
      Convert(static_cast<const In*>(params.slices[slice]) + start,
              output + slice * params.pixels + start, run);
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
