// Registers the exports; each kernel's X_binding.cpp defines its own.
#include <napi.h>

#include "common/bindings.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  nodule::InitStatus(env, exports);
  nodule::InitHu(env, exports);
  nodule::InitFrames(env, exports);
  nodule::InitRezoom(env, exports);
  nodule::InitRoiAlign(env, exports);
  nodule::InitHungarian(env, exports);
  nodule::InitLungs(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(nodule, Init)
