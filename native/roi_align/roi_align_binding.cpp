#include <memory>
#include <vector>

#include "common/bindings.h"
#include "common/napi_check.h"
#include "common/napi_device.h"
#include "common/napi_run.h"
#include "roi_align/roi_align.h"
#include "roi_align/roi_align_kernel.h"

namespace nodule {
namespace {

// Params with their own copy of what the kernels trust as sizes and positions.
struct Input {
  RoiAlignParams params;
  std::vector<float> boxes;
  std::vector<int32_t> images;
};

// {features, boxes: Float32Array, images: Int32Array, n, height, width, channels, binsX, binsY,
// samplingRatio, scale, aligned, nhwc, device}
std::shared_ptr<Input> ReadInput(Napi::Env env, const Napi::Object& object) {
  auto input = std::make_shared<Input>();
  RoiAlignParams& p = input->params;
  p.n = RequireSize(env, object, "n");
  p.height = RequireSize(env, object, "height");
  p.width = RequireSize(env, object, "width");
  p.channels = RequireSize(env, object, "channels");
  p.bins_x = RequireSize(env, object, "binsX");
  p.bins_y = RequireSize(env, object, "binsY");
  if (p.height < 1 || p.width < 1) Refuse(env, "height and width", "positive sizes");
  if (p.bins_x < 1 || p.bins_x > 1024) Refuse(env, "binsX", "between 1 and 1024 bins");
  if (p.bins_y < 1 || p.bins_y > 1024) Refuse(env, "binsY", "between 1 and 1024 bins");
  const size_t ratio = RequireSize(env, object, "samplingRatio");
  if (ratio > kMaxRoiGrid) Refuse(env, "samplingRatio", "at most 256");
  p.sampling_ratio = static_cast<int>(ratio);
  p.scale = static_cast<float>(RequireNumber(env, object, "scale", 1e-6, 1e6));
  p.aligned = RequireBoolean(env, object, "aligned");
  p.nhwc = RequireBoolean(env, object, "nhwc");
  const View<float> boxes = RequireArray<float>(env, object, "boxes", SIZE_MAX);
  if (boxes.length % 4 != 0) Refuse(env, "boxes", "length boxes * 4");
  p.boxes = boxes.length / 4;
  const View<int32_t> images = RequireArray<int32_t>(env, object, "images", p.boxes);
  input->boxes.assign(boxes.data, boxes.data + boxes.length);
  input->images.assign(images.data, images.data + images.length);
  for (size_t box = 0; box < p.boxes; box++) {
    const std::string name = "boxes[" + std::to_string(box) + "]";
    if (input->images[box] < 0 || static_cast<size_t>(input->images[box]) >= p.n)
      Refuse(env, "images", "image indices");
    for (int k = 0; k < 4; k++)
      if (!(std::abs(input->boxes[box * 4 + k]) <= 1e6f))
        Refuse(env, name, "coordinates up to 1e6");
    const double bin_width =
        std::abs(static_cast<double>(input->boxes[box * 4 + 2]) - input->boxes[box * 4]) * p.scale /
        p.bins_x;
    const double bin_height =
        std::abs(static_cast<double>(input->boxes[box * 4 + 3]) - input->boxes[box * 4 + 1]) *
        p.scale / p.bins_y;
    if (p.sampling_ratio == 0 && (bin_width > kMaxRoiGrid - 1 || bin_height > kMaxRoiGrid - 1))
      Refuse(env, name, "bins of at most 255 feature pixels, or a sampling ratio");
  }
  const double features = static_cast<double>(p.n) * p.height * p.width * p.channels;
  const double outputs = static_cast<double>(p.boxes) * p.bins_x * p.bins_y * p.channels;
  if (features > kMaxElements || outputs > kMaxElements)
    Refuse(env, "shape", "at most 2^31 elements");
  p.box = input->boxes.data();
  p.images = input->images.data();
  return input;
}

// ReadInput and {features, output: Float32Array}
Napi::Value Forward(const Napi::CallbackInfo& info, bool async) {
  const Napi::Env env = info.Env();
  const Napi::Object object = RequireObject(env, info[0], "input");
  const std::shared_ptr<Input> input = ReadInput(env, object);
  RoiAlignParams& p = input->params;
  p.features = RequireArray<float>(env, object, "features", p.FeatureCount()).data;
  p.output = RequireArray<float>(env, object, "output", p.OutputCount()).data;
  const Device device = RequireDevice(env, object);
  return RunKernel(env, object, async, [input, device] { RoiAlignForward(input->params, device); });
}

// ReadInput and {gradient, gradientFeatures: Float32Array}
Napi::Value Gradient(const Napi::CallbackInfo& info, bool async) {
  const Napi::Env env = info.Env();
  const Napi::Object object = RequireObject(env, info[0], "input");
  const std::shared_ptr<Input> input = ReadInput(env, object);
  RoiAlignParams& p = input->params;
  p.gradient = RequireArray<float>(env, object, "gradient", p.OutputCount()).data;
  p.gradient_features = RequireArray<float>(env, object, "gradientFeatures", p.FeatureCount()).data;
  const Device device = RequireDevice(env, object);
  return RunKernel(env, object, async,
                   [input, device] { RoiAlignGradient(input->params, device); });
}

}  // namespace

void InitRoiAlign(Napi::Env env, Napi::Object exports) {
  ExportKernel(env, exports, "roiAlignForward", Forward);
  ExportKernel(env, exports, "roiAlignGradient", Gradient);
}

}  // namespace nodule
