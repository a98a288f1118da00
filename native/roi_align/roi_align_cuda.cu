#include "common/device_buffer.h"
#include "roi_align/roi_align.h"
#include "roi_align/roi_align_kernel.h"

namespace nodule {
namespace {

constexpr unsigned kBlock = 256;

// Channel, bin and box of an output element.
struct Place {
  size_t c, bx, by, box;
};

__device__ Place PlaceOf(const RoiAlignParams& p, size_t i) {
  Place place;
  if (p.nhwc) {
    place.c = i % p.channels;
    i /= p.channels;
    place.bx = i % p.bins_x;
    i /= p.bins_x;
    place.by = i % p.bins_y;
    place.box = i / p.bins_y;
  } else {
    place.bx = i % p.bins_x;
    i /= p.bins_x;
    place.by = i % p.bins_y;
    i /= p.bins_y;
    place.c = i % p.channels;
    place.box = i / p.channels;
  }
  return place;
}

__device__ size_t FeatureIndex(const RoiAlignParams& p, const Place& place, int y, int x) {
  const size_t image = p.images[place.box];
  return p.nhwc ? ((image * p.height + y) * p.width + x) * p.channels + place.c
                : ((image * p.channels + place.c) * p.height + y) * p.width + x;
}

// Calls visit(feature index, weight) for the corners of all samples of a bin.
template <typename Visit>
__device__ void ForCorners(const RoiAlignParams& p, const Place& place, const Visit& visit) {
  const RoiBox r = RoiMakeBox(p.box + place.box * 4, p.scale, p.aligned, static_cast<int>(p.bins_x),
                              static_cast<int>(p.bins_y), p.sampling_ratio);
  const float count = RoiCount(r);
  for (int iy = 0; iy < r.grid_y; iy++) {
    const RoiPlace y =
        RoiLocate(RoiCoordinate(r.start_y, r.bin_height, static_cast<int>(place.by), iy, r.grid_y),
                  static_cast<int>(p.height));
    for (int ix = 0; ix < r.grid_x; ix++) {
      const RoiPlace x =
          RoiLocate(RoiCoordinate(r.start_x, r.bin_width, static_cast<int>(place.bx), ix, r.grid_x),
                    static_cast<int>(p.width));
      if (!x.valid || !y.valid) continue;
      visit(FeatureIndex(p, place, y.p0, x.p0), (1.0f - y.t) * (1.0f - x.t) / count);
      visit(FeatureIndex(p, place, y.p0, x.p1), (1.0f - y.t) * x.t / count);
      visit(FeatureIndex(p, place, y.p1, x.p0), y.t * (1.0f - x.t) / count);
      visit(FeatureIndex(p, place, y.p1, x.p1), y.t * x.t / count);
    }
  }
}

// One thread for each output element. A corner of weight 0 is not read.
__global__ void ForwardKernel(RoiAlignParams p, size_t count) {
  const size_t i = static_cast<size_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= count) return;
  float sum = 0;
  ForCorners(p, PlaceOf(p, i), [&](size_t at, float weight) {
    if (weight != 0) sum += weight * p.features[at];
  });
  p.output[i] = sum;
}

// One thread for each output element; boxes overlap, hence the atomic sums.
__global__ void GradientKernel(RoiAlignParams p, size_t count) {
  const size_t i = static_cast<size_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= count) return;
  const float gradient = p.gradient[i];
  ForCorners(p, PlaceOf(p, i), [&](size_t at, float weight) {
    if (weight != 0) atomicAdd(p.gradient_features + at, weight * gradient);
  });
}

// Boxes and images on the device.
struct Inputs {
  Stream stream;
  DeviceBuffer<float> boxes;
  DeviceBuffer<int32_t> images;
  explicit Inputs(const RoiAlignParams& p) : boxes(p.boxes * 4, stream), images(p.boxes, stream) {
    boxes.CopyFrom(p.box, p.boxes * 4);
    images.CopyFrom(p.images, p.boxes);
  }
  RoiAlignParams OnDevice(const RoiAlignParams& p) const {
    RoiAlignParams on_device = p;
    on_device.box = boxes.data();
    on_device.images = images.data();
    return on_device;
  }
};

}  // namespace

void RoiAlignForwardCuda(const RoiAlignParams& p) {
  const size_t count = p.OutputCount();
  if (count == 0) return;
  Inputs inputs(p);
  DeviceBuffer<float> features(p.FeatureCount(), inputs.stream), output(count, inputs.stream);
  features.CopyFrom(p.features, p.FeatureCount());
  RoiAlignParams on_device = inputs.OnDevice(p);
  on_device.features = features.data();
  on_device.output = output.data();
  ForwardKernel<<<BlocksFor(count, kBlock), kBlock, 0, inputs.stream>>>(on_device, count);
  NODULE_CUDA_LAUNCHED();
  output.CopyTo(p.output, count);
  inputs.stream.Wait();
}

void RoiAlignGradientCuda(const RoiAlignParams& p) {
  const size_t count = p.OutputCount();
  Inputs inputs(p);
  DeviceBuffer<float> gradient(count, inputs.stream),
      gradient_features(p.FeatureCount(), inputs.stream);
  gradient.CopyFrom(p.gradient, count);
  gradient_features.Clear(p.FeatureCount());
  RoiAlignParams on_device = inputs.OnDevice(p);
  on_device.gradient = gradient.data();
  on_device.gradient_features = gradient_features.data();
  if (count > 0) {
    GradientKernel<<<BlocksFor(count, kBlock), kBlock, 0, inputs.stream>>>(on_device, count);
    NODULE_CUDA_LAUNCHED();
  }
  gradient_features.CopyTo(p.gradient_features, p.FeatureCount());
  inputs.stream.Wait();
}

}  // namespace nodule
