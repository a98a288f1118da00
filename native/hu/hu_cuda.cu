#include "common/device_buffer.h"
#include "hu/hu.h"
#include "hu/hu_kernel.h"

namespace nodule {
namespace {

constexpr unsigned kBlock = 256;

__device__ void Store(int16_t* out, float value) { *out = static_cast<int16_t>(HuRound(value)); }
__device__ void Store(float* out, float value) { *out = value; }

// grid (voxels of a slice / kBlock, slices)
template <typename In, typename Out>
__global__ void HuKernel(const In* in, Out* out, size_t pixels, const float* slope,
                         const float* intercept, int padding_low, int padding_high, float clamp_low,
                         float clamp_high) {
  const size_t pixel = static_cast<size_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (pixel >= pixels) return;
  const size_t slice = blockIdx.y;
  const size_t i = slice * pixels + pixel;
  Store(out + i, HuValue(in[i], slope[slice], intercept[slice], padding_low, padding_high,
                         clamp_low, clamp_high));
}

// Slices whose buffers on the device together stay small.
constexpr size_t kChunkBytes = size_t{64} << 20;
constexpr size_t kMaxGridY = 65535;

template <typename In, typename Out>
void Convert(const HuParams& params, Out* output) {
  const size_t slices = params.slices.size();
  const size_t pixels = params.pixels;
  if (slices == 0 || pixels == 0) return;
  Stream stream;
  DeviceBuffer<float> slope(slices, stream), intercept(slices, stream);
  slope.CopyFrom(params.slope.data(), slices);
  intercept.CopyFrom(params.intercept.data(), slices);
  size_t chunk = kChunkBytes / (pixels * (sizeof(In) + sizeof(Out)));
  chunk = chunk < 1 ? 1 : chunk;
  chunk = chunk > slices ? slices : chunk;
  chunk = chunk > kMaxGridY ? kMaxGridY : chunk;
  DeviceBuffer<In> in(chunk * pixels, stream);
  DeviceBuffer<Out> out(chunk * pixels, stream);
  for (size_t first = 0; first < slices; first += chunk) {
    const size_t count = first + chunk < slices ? chunk : slices - first;
    for (size_t s = 0; s < count; s++)
      in.CopyFrom(static_cast<const In*>(params.slices[first + s]), pixels, s * pixels);
    const dim3 grid(BlocksFor(pixels, kBlock), static_cast<unsigned>(count));
    HuKernel<<<grid, kBlock, 0, stream>>>(in.data(), out.data(), pixels, slope.data() + first,
                                          intercept.data() + first, params.padding_low,
                                          params.padding_high, params.clamp_low, params.clamp_high);
    NODULE_CUDA_LAUNCHED();
    out.CopyTo(output + first * pixels, count * pixels);
  }
  stream.Wait();
}

template <typename Out>
void ConvertStored(const HuParams& params, Out* output) {
  switch (params.stored) {
    case Stored::kUint8:
      return Convert<uint8_t>(params, output);
    case Stored::kInt16:
      return Convert<int16_t>(params, output);
    case Stored::kUint16:
      return Convert<uint16_t>(params, output);
  }
}

}  // namespace

void HuConvertCuda(const HuParams& params) {
  if (params.output_int16 != nullptr)
    ConvertStored(params, params.output_int16);
  else if (params.output_float != nullptr)
    ConvertStored(params, params.output_float);
}

}  // namespace nodule
