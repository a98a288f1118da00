#include "common/device_buffer.h"
#include "rezoom/rezoom.h"
#include "rezoom/rezoom_kernel.h"

namespace nodule {
namespace {

constexpr unsigned kBlock = 256;

// RezoomParams with pointers to device memory.
struct Args {
  size_t height, width, channels, boxes_per_image, samples, offsets_x_count, box_count;
  size_t stride_image, stride_y, stride_x, stride_c;
  float stride;
  const float *offsets_x, *offsets_y, *features, *boxes, *gradient;
  float *output, *gradient_features, *gradient_boxes;
};

__device__ RezoomSample Locate(const Args& a, size_t box, size_t sample) {
  return RezoomLocate(a.boxes + box * 4, a.offsets_x[sample % a.offsets_x_count],
                      a.offsets_y[sample / a.offsets_x_count], a.stride, static_cast<int>(a.height),
                      static_cast<int>(a.width));
}

__device__ size_t Offset(const Args& a, size_t box, int y, int x, size_t c) {
  return box / a.boxes_per_image * a.stride_image + y * a.stride_y + x * a.stride_x +
         c * a.stride_c;
}

// One thread for each output element [box, sample, channel].
__global__ void ForwardKernel(Args a, size_t count) {
  const size_t i = static_cast<size_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= count) return;
  const size_t c = i % a.channels, sample = i / a.channels % a.samples,
               box = i / a.channels / a.samples;
  const RezoomSample s = Locate(a, box, sample);
  float w[4];
  RezoomWeights(s, w);
  a.output[i] = RezoomBlend(a.features[Offset(a, box, s.y0, s.x0, c)],
                            a.features[Offset(a, box, s.y0, s.x1, c)],
                            a.features[Offset(a, box, s.y1, s.x0, c)],
                            a.features[Offset(a, box, s.y1, s.x1, c)], w[0], w[1], w[2], w[3]);
}

// One thread for each output element; boxes overlap, hence the atomic sums.
__global__ void FeatureGradientKernel(Args a, size_t count) {
  const size_t i = static_cast<size_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= count) return;
  const size_t c = i % a.channels, sample = i / a.channels % a.samples,
               box = i / a.channels / a.samples;
  const RezoomSample s = Locate(a, box, sample);
  float w[4];
  RezoomWeights(s, w);
  const float g = a.gradient[i];
  if (w[0] != 0) atomicAdd(a.gradient_features + Offset(a, box, s.y0, s.x0, c), w[0] * g);
  if (w[1] != 0) atomicAdd(a.gradient_features + Offset(a, box, s.y0, s.x1, c), w[1] * g);
  if (w[2] != 0) atomicAdd(a.gradient_features + Offset(a, box, s.y1, s.x0, c), w[2] * g);
  if (w[3] != 0) atomicAdd(a.gradient_features + Offset(a, box, s.y1, s.x1, c), w[3] * g);
}

// One block for each box.
__global__ void BoxGradientKernel(Args a) {
  const size_t box = blockIdx.x;
  float sums[4] = {0, 0, 0, 0};
  for (size_t i = threadIdx.x; i < a.samples * a.channels; i += kBlock) {
    const size_t c = i % a.channels, sample = i / a.channels;
    const RezoomSample s = Locate(a, box, sample);
    const float v00 = a.features[Offset(a, box, s.y0, s.x0, c)],
                v01 = a.features[Offset(a, box, s.y0, s.x1, c)],
                v10 = a.features[Offset(a, box, s.y1, s.x0, c)],
                v11 = a.features[Offset(a, box, s.y1, s.x1, c)];
    const float g = a.gradient[box * a.samples * a.channels + i];
    if (s.inside_x) {
      const float slope = g * RezoomSlopeX(v00, v01, v10, v11, s.ty);
      sums[0] += slope;
      sums[2] += slope * a.offsets_x[sample % a.offsets_x_count];
    }
    if (s.inside_y) {
      const float slope = g * RezoomSlopeY(v00, v01, v10, v11, s.tx);
      sums[1] += slope;
      sums[3] += slope * a.offsets_y[sample / a.offsets_x_count];
    }
  }
  __shared__ float shared[4][kBlock];
  for (int k = 0; k < 4; k++) shared[k][threadIdx.x] = sums[k];
  __syncthreads();
  for (unsigned half = kBlock / 2; half > 0; half /= 2) {
    if (threadIdx.x < half)
      for (int k = 0; k < 4; k++) shared[k][threadIdx.x] += shared[k][threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x < 4) a.gradient_boxes[box * 4 + threadIdx.x] = shared[threadIdx.x][0] / a.stride;
}

// The inputs on the device, alive while the kernels run.
struct Inputs {
  Stream stream;
  DeviceBuffer<float> features, boxes, offsets_x, offsets_y;

  explicit Inputs(const RezoomParams& p)
      : features(p.FeatureCount(), stream),
        boxes(p.BoxCount() * 4, stream),
        offsets_x(p.offsets_x.size(), stream),
        offsets_y(p.offsets_y.size(), stream) {
    features.CopyFrom(p.features, p.FeatureCount());
    boxes.CopyFrom(p.boxes, p.BoxCount() * 4);
    offsets_x.CopyFrom(p.offsets_x.data(), p.offsets_x.size());
    offsets_y.CopyFrom(p.offsets_y.data(), p.offsets_y.size());
  }

  Args MakeArgs(const RezoomParams& p) const {
    Args a = {};
    a.height = p.height;
    a.width = p.width;
    a.channels = p.channels;
    a.boxes_per_image = p.boxes_per_image;
    a.samples = p.Samples();
    a.offsets_x_count = p.offsets_x.size();
    a.box_count = p.BoxCount();
    a.stride_image = p.height * p.width * p.channels;
    a.stride_y = p.nhwc ? p.width * p.channels : p.width;
    a.stride_x = p.nhwc ? p.channels : 1;
    a.stride_c = p.nhwc ? 1 : p.height * p.width;
    a.stride = p.stride;
    a.offsets_x = offsets_x.data();
    a.offsets_y = offsets_y.data();
    a.features = features.data();
    a.boxes = boxes.data();
    return a;
  }
};

}  // namespace

void RezoomForwardCuda(const RezoomParams& p) {
  const size_t count = p.OutputCount();
  if (count == 0) return;
  Inputs inputs(p);
  DeviceBuffer<float> output(count, inputs.stream);
  Args args = inputs.MakeArgs(p);
  args.output = output.data();
  ForwardKernel<<<BlocksFor(count, kBlock), kBlock, 0, inputs.stream>>>(args, count);
  NODULE_CUDA_LAUNCHED();
  output.CopyTo(p.output, count);
  inputs.stream.Wait();
}

void RezoomGradientCuda(const RezoomParams& p) {
  Inputs inputs(p);
  const size_t count = p.OutputCount();
  DeviceBuffer<float> gradient(count, inputs.stream);
  DeviceBuffer<float> gradient_features(p.FeatureCount(), inputs.stream);
  DeviceBuffer<float> gradient_boxes(p.BoxCount() * 4, inputs.stream);
  gradient.CopyFrom(p.gradient, count);
  gradient_features.Clear(p.FeatureCount());
  gradient_boxes.Clear(p.BoxCount() * 4);
  Args args = inputs.MakeArgs(p);
  args.gradient = gradient.data();
  args.gradient_features = gradient_features.data();
  args.gradient_boxes = gradient_boxes.data();
  if (count > 0) {
    FeatureGradientKernel<<<BlocksFor(count, kBlock), kBlock, 0, inputs.stream>>>(args, count);
    NODULE_CUDA_LAUNCHED();
    BoxGradientKernel<<<static_cast<unsigned>(p.BoxCount()), kBlock, 0, inputs.stream>>>(args);
    NODULE_CUDA_LAUNCHED();
  }
  gradient_features.CopyTo(p.gradient_features, p.FeatureCount());
  gradient_boxes.CopyTo(p.gradient_boxes, p.BoxCount() * 4);
  inputs.stream.Wait();
}

}  // namespace nodule
