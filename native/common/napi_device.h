// The `device` property that every kernel's argument object carries: "cpu" or "cuda".
#pragma once

#include <napi.h>

#include <string>

#include "common/device.h"
#include "common/napi_check.h"

namespace nodule {

inline Device RequireDevice(Napi::Env env, const Napi::Value& value) {
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (name == "cpu") return Device::kCpu;
  if (name != "cuda") Refuse(env, "device", "\"cpu\" or \"cuda\"");
#if defined(NODULE_WITH_CUDA)
  if (!CudaProblem().empty()) throw Napi::Error::New(env, "CUDA: " + CudaProblem());
  return Device::kCuda;
#else
  throw Napi::Error::New(env, "CUDA: not built");
#endif
}

inline Device RequireDevice(Napi::Env env, const Napi::Object& object) {
  return RequireDevice(env, object.Get("device"));
}

}  // namespace nodule
