#include "common/device_buffer.h"
#include "frames/frames.h"
#include "frames/frames_kernel.h"
#include "hu/hu_kernel.h"

namespace nodule {
namespace {

constexpr unsigned kBlock = 256;

struct Taps {
  const int32_t *first, *count;
  const float* weights;
  size_t width, size;
};

// FramesParams with pointers to device memory; slices are those of one chunk.
struct Args {
  Taps x, y;
  size_t columns, pixels;
  const float *slope, *intercept;
  int padding_low, padding_high;
  float clamp_low, clamp_high, bias, outside_level, factor, offset;
  const uint32_t *start,
      *place;  // the places of slice s: place[start[s]] to place[start[s + 1] - 1]
  size_t channels;
  bool nchw;
  uint8_t* output_uint8;
  float* output_float;
};

template <typename In>
__device__ float HuOf(const Args& a, const In* image, size_t slice, size_t i) {
  return static_cast<float>(
      HuRound(HuValue(image[i], a.slope[slice], a.intercept[slice], a.padding_low, a.padding_high,
                      a.clamp_low, a.clamp_high)));
}

// One thread for each frame pixel of each slice: grid (pixels / kBlock, slices).
template <typename In>
__global__ void FramesKernel(Args a, const In* slices) {
  const size_t pixel = static_cast<size_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (pixel >= a.x.size * a.y.size) return;
  const size_t slice = blockIdx.y, u = pixel % a.x.size, v = pixel / a.x.size;
  const In* image = slices + slice * a.pixels;
  const int first_x = a.x.first[u], first_y = a.y.first[v];
  float level = a.outside_level;
  if (first_x >= 0 && first_y >= 0) {
    level = a.bias;
    for (int m = 0; m < a.x.count[u]; m++) {
      float column = 0;
      for (int n = 0; n < a.y.count[v]; n++)
        column += a.y.weights[v * a.y.width + n] *
                  HuOf(a, image, slice, static_cast<size_t>(first_y + n) * a.columns + first_x + m);
      level += a.x.weights[u * a.x.width + m] * column;
    }
  }
  const int gray = FrameGray(level);
  for (uint32_t i = a.start[slice]; i < a.start[slice + 1]; i++) {
    const size_t place = a.place[i];
    const size_t at = a.nchw ? place * a.x.size * a.y.size + pixel
                             : (place / a.channels * a.x.size * a.y.size + pixel) * a.channels +
                                   place % a.channels;
    if (a.output_float != nullptr)
      a.output_float[at] = FrameInput(gray, a.factor, a.offset);
    else
      a.output_uint8[at] = static_cast<uint8_t>(gray);
  }
}

// Taps in device memory.
struct TapBuffers {
  DeviceBuffer<int32_t> first, count;
  DeviceBuffer<float> weights;
  TapBuffers(const FrameTaps& taps, Stream& stream)
      : first(taps.size, stream), count(taps.size, stream), weights(taps.weights.size(), stream) {
    first.CopyFrom(taps.first.data(), taps.size);
    count.CopyFrom(taps.count.data(), taps.size);
    weights.CopyFrom(taps.weights.data(), taps.weights.size());
  }
  Taps Get(const FrameTaps& taps) const {
    return {first.data(), count.data(), weights.data(), taps.width, taps.size};
  }
};

constexpr size_t kChunkBytes = size_t{64} << 20;

template <typename In>
void Render(const FramesParams& p) {
  const size_t slices = p.hu.slices.size(), pixels = p.rows * p.columns;
  const size_t frame_pixels = p.x.size * p.y.size, outputs = p.sources.size() * frame_pixels;
  if (outputs == 0) return;
  std::vector<uint32_t> start(slices + 1, 0), place(p.sources.size());
  for (const int32_t s : p.sources) start[s + 1]++;
  for (size_t s = 0; s < slices; s++) start[s + 1] += start[s];
  std::vector<uint32_t> next(start.begin(), start.end() - 1);
  for (size_t i = 0; i < p.sources.size(); i++)
    place[next[p.sources[i]]++] = static_cast<uint32_t>(i);

  Stream stream;
  const TapBuffers x(p.x, stream), y(p.y, stream);
  DeviceBuffer<float> slope(slices, stream), intercept(slices, stream);
  DeviceBuffer<uint32_t> starts(slices + 1, stream), places(place.size(), stream);
  slope.CopyFrom(p.hu.slope.data(), slices);
  intercept.CopyFrom(p.hu.intercept.data(), slices);
  starts.CopyFrom(start.data(), start.size());
  places.CopyFrom(place.data(), place.size());
  DeviceBuffer<uint8_t> out_uint8(p.output_uint8 != nullptr ? outputs : 0, stream);
  DeviceBuffer<float> out_float(p.output_float != nullptr ? outputs : 0, stream);
  size_t chunk = kChunkBytes / ((pixels + 1) * sizeof(In));  // images may be empty
  chunk = chunk < 1 ? 1 : (chunk > slices ? slices : chunk);
  chunk = chunk > 65535 ? 65535 : chunk;
  DeviceBuffer<In> in(chunk * pixels, stream);

  Args a = {};
  a.x = x.Get(p.x);
  a.y = y.Get(p.y);
  a.columns = p.columns;
  a.pixels = pixels;
  a.padding_low = p.hu.padding_low;
  a.padding_high = p.hu.padding_high;
  a.clamp_low = p.hu.clamp_low;
  a.clamp_high = p.hu.clamp_high;
  a.bias = p.bias;
  a.outside_level = p.outside_level;
  a.factor = p.factor;
  a.offset = p.offset;
  a.place = places.data();
  a.channels = p.channels;
  a.nchw = p.nchw;
  a.output_uint8 = out_uint8.data();
  a.output_float = out_float.data();
  for (size_t first = 0; first < slices; first += chunk) {
    const size_t count = first + chunk < slices ? chunk : slices - first;
    for (size_t s = 0; s < count; s++)
      in.CopyFrom(static_cast<const In*>(p.hu.slices[first + s]), pixels, s * pixels);
    a.slope = slope.data() + first;
    a.intercept = intercept.data() + first;
    a.start = starts.data() + first;
    const dim3 grid(BlocksFor(frame_pixels, kBlock), static_cast<unsigned>(count));
    FramesKernel<<<grid, kBlock, 0, stream>>>(a, in.data());
    NODULE_CUDA_LAUNCHED();
  }
  if (p.output_uint8 != nullptr) out_uint8.CopyTo(p.output_uint8, outputs);
  if (p.output_float != nullptr) out_float.CopyTo(p.output_float, outputs);
  stream.Wait();
}

}  // namespace

void RenderFramesCuda(const FramesParams& p) {
  switch (p.hu.stored) {
    case Stored::kUint8:
      return Render<uint8_t>(p);
    case Stored::kInt16:
      return Render<int16_t>(p);
    case Stored::kUint16:
      return Render<uint16_t>(p);
  }
}

}  // namespace nodule
