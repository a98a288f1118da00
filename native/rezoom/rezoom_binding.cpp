#include <memory>

#include "common/bindings.h"
#include "common/napi_check.h"
#include "common/napi_device.h"
#include "common/napi_run.h"
#include "rezoom/rezoom.h"

namespace nodule {
namespace {

void ReadOffsets(Napi::Env env, const Napi::Object& object, const char* name,
                 std::vector<float>& out) {
  const View<float> view = RequireArray<float>(env, object, name, SIZE_MAX);
  if (view.length < 1 || view.length > 64) Refuse(env, name, "between 1 and 64 offsets");
  for (size_t i = 0; i < view.length; i++)
    if (!std::isfinite(view.data[i])) Refuse(env, name, "finite numbers");
  out.assign(view.data, view.data + view.length);
}

// {features, boxes: Float32Array, n, height, width, channels, boxesPerImage, nhwc, offsetsX,
// offsetsY: Float32Array, stride, device}
std::shared_ptr<RezoomParams> ReadParams(Napi::Env env, const Napi::Object& object) {
  auto p = std::make_shared<RezoomParams>();
  p->n = RequireSize(env, object, "n");
  p->height = RequireSize(env, object, "height");
  p->width = RequireSize(env, object, "width");
  p->channels = RequireSize(env, object, "channels");
  p->boxes_per_image = RequireSize(env, object, "boxesPerImage");
  if (p->height < 1) Refuse(env, "height", "positive size");
  if (p->width < 1) Refuse(env, "width", "positive size");
  p->nhwc = RequireBoolean(env, object, "nhwc");
  p->stride = static_cast<float>(RequireNumber(env, object, "stride", 1e-6, 1e6));
  ReadOffsets(env, object, "offsetsX", p->offsets_x);
  ReadOffsets(env, object, "offsetsY", p->offsets_y);
  const double features = static_cast<double>(p->n) * p->height * p->width * p->channels;
  const double outputs =
      static_cast<double>(p->n) * p->boxes_per_image * p->Samples() * p->channels;
  if (features > kMaxElements || outputs > kMaxElements)
    Refuse(env, "shape", "at most 2^31 elements");
  p->features = RequireArray<float>(env, object, "features", p->FeatureCount()).data;
  p->boxes = RequireArray<float>(env, object, "boxes", p->BoxCount() * 4).data;
  return p;
}

// ReadParams and {output: Float32Array}
Napi::Value Forward(const Napi::CallbackInfo& info, bool async) {
  const Napi::Env env = info.Env();
  const Napi::Object object = RequireObject(env, info[0], "input");
  const std::shared_ptr<RezoomParams> p = ReadParams(env, object);
  p->output = RequireArray<float>(env, object, "output", p->OutputCount()).data;
  const Device device = RequireDevice(env, object);
  return RunKernel(env, object, async, [p, device] { RezoomForward(*p, device); });
}

// ReadParams and {gradient, gradientFeatures, gradientBoxes: Float32Array}
Napi::Value Gradient(const Napi::CallbackInfo& info, bool async) {
  const Napi::Env env = info.Env();
  const Napi::Object object = RequireObject(env, info[0], "input");
  const std::shared_ptr<RezoomParams> p = ReadParams(env, object);
  p->gradient = RequireArray<float>(env, object, "gradient", p->OutputCount()).data;
  p->gradient_features =
      RequireArray<float>(env, object, "gradientFeatures", p->FeatureCount()).data;
  p->gradient_boxes = RequireArray<float>(env, object, "gradientBoxes", p->BoxCount() * 4).data;
  const Device device = RequireDevice(env, object);
  return RunKernel(env, object, async, [p, device] { RezoomGradient(*p, device); });
}

}  // namespace

void InitRezoom(Napi::Env env, Napi::Object exports) {
  ExportKernel(env, exports, "rezoomForward", Forward);
  ExportKernel(env, exports, "rezoomGradient", Gradient);
}

}  // namespace nodule
