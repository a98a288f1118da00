#include "hu/hu_binding.h"

#include <memory>

#include "common/bindings.h"
#include "common/napi_check.h"
#include "common/napi_device.h"
#include "common/napi_run.h"
#include "hu/hu.h"

namespace nodule {
namespace {

// The type of the first slice; all others must have it.
Stored RequireStored(Napi::Env env, const Napi::Array& slices) {
  if (slices.Length() == 0) return Stored::kInt16;
  const Napi::Value first = slices.Get(uint32_t{0});
  if (first.IsTypedArray()) switch (first.As<Napi::TypedArray>().TypedArrayType()) {
      case napi_uint8_array:
        return Stored::kUint8;
      case napi_int16_array:
        return Stored::kInt16;
      case napi_uint16_array:
        return Stored::kUint16;
      default:
        break;
    }
  Refuse(env, "slices[0]", "Uint8Array, Int16Array or Uint16Array");
}

template <typename T>
void ReadSlices(Napi::Env env, const Napi::Array& slices, HuParams& params) {
  const uint32_t count = slices.Length();
  for (uint32_t i = 0; i < count; i++) {
    Napi::HandleScope scope(env);
    const View<T> view =
        RequireArray<T>(env, slices.Get(i), "slices", i == 0 ? SIZE_MAX : params.pixels);
    params.pixels = view.length;
    params.slices.push_back(view.data);
  }
}

std::vector<float> ReadFloats(Napi::Env env, const Napi::Object& object, const char* name,
                              size_t count) {
  const View<float> view = RequireArray<float>(env, object, name, count);
  for (size_t i = 0; i < count; i++)
    if (!std::isfinite(view.data[i])) Refuse(env, name, "finite numbers");
  return std::vector<float>(view.data, view.data + count);
}

// ReadHuParams and {output: Int16Array | Float32Array, device}
Napi::Value HuConvertBinding(const Napi::CallbackInfo& info, bool async) {
  const Napi::Env env = info.Env();
  const Napi::Object object = RequireObject(env, info[0], "batch");
  auto params = std::make_shared<HuParams>();
  const Napi::Value output = object.Get("output");
  const bool to_float =
      output.IsTypedArray() && output.As<Napi::TypedArray>().TypedArrayType() == napi_float32_array;
  ReadHuParams(env, object, !to_float, params.get());
  const size_t count = params->slices.size() * params->pixels;
  if (to_float)
    params->output_float = RequireArray<float>(env, output, "output", count).data;
  else
    params->output_int16 = RequireArray<int16_t>(env, output, "output", count).data;
  const Device device = RequireDevice(env, object);
  return RunKernel(env, object, async, [params, device] { HuConvert(*params, device); });
}

}  // namespace

void ReadHuParams(Napi::Env env, const Napi::Object& object, bool whole, HuParams* params) {
  const Napi::Value slices_value = object.Get("slices");
  if (!slices_value.IsArray()) Refuse(env, "slices", "array");
  const Napi::Array slices = slices_value.As<Napi::Array>();
  params->stored = RequireStored(env, slices);
  if (params->stored == Stored::kUint8) ReadSlices<uint8_t>(env, slices, *params);
  if (params->stored == Stored::kInt16) ReadSlices<int16_t>(env, slices, *params);
  if (params->stored == Stored::kUint16) ReadSlices<uint16_t>(env, slices, *params);
  const size_t count = params->slices.size();
  params->slope = ReadFloats(env, object, "slope", count);
  params->intercept = ReadFloats(env, object, "intercept", count);
  params->padding_low = static_cast<int>(RequireNumber(env, object, "paddingLow", -65536, 65536));
  params->padding_high = static_cast<int>(RequireNumber(env, object, "paddingHigh", -65536, 65536));
  const double low = whole ? -32768 : -3e38, high = whole ? 32767 : 3e38;
  params->clamp_low = static_cast<float>(RequireNumber(env, object, "clampLow", low, high));
  params->clamp_high = static_cast<float>(RequireNumber(env, object, "clampHigh", low, high));
  if (params->clamp_low > params->clamp_high) Refuse(env, "clampLow", "number not above clampHigh");
  if (whole && (params->clamp_low != std::floor(params->clamp_low) ||
                params->clamp_high != std::floor(params->clamp_high)))
    Refuse(env, "clampLow and clampHigh", "integers");
}

void InitHu(Napi::Env env, Napi::Object exports) {
  ExportKernel(env, exports, "hu", HuConvertBinding);
}

}  // namespace nodule
