// nodule_tensor.node: an addon of its own, so that nodule.node loads on machines without oneDNN.
#include "binding.h"
#include "loops.h"
#include "nodule_code.h"
#include "onednn_plan.h"
#include "threads.h"

namespace nodule::tensor {

std::mutex& CallMutex() {
  static std::mutex mutex;
  return mutex;
}

namespace {

// threads(count?, once?): sets when given, returns the count. `once`: only where nobody in this process has set it.
Napi::Value ThreadsCall(const Arguments& arguments) {
  static bool is_set = false;  // Under CallMutex.
  if (!arguments.Missing(0)) {
    const double count = arguments.Number(0);
    arguments.Require(count >= 1 && count <= 1024, 0, "number between 1 and 1024");
    const bool once = !arguments.Missing(1) && arguments.Boolean(1);
    if (!once || !is_set) SetThreadCount(static_cast<int>(count));
    is_set = true;
  }
  return Napi::Number::New(arguments.Env(), ThreadCount());
}

// bfloat16(on?): sets when given, returns whether it is on.
Napi::Value Bfloat16Call(const Arguments& arguments) {
  if (arguments.Missing(0)) return Napi::Boolean::New(arguments.Env(), Bfloat16());
  return Napi::Boolean::New(arguments.Env(), SetBfloat16(arguments.Boolean(0)));
}

Napi::Value DescribePrimitivesCall(const Arguments& arguments) {
  return Napi::String::New(arguments.Env(), DescribePrimitives());
}

// address(array): of its first byte modulo 64, for aligned views.
Napi::Value AddressCall(const Arguments& arguments) {
  return Napi::Number::New(
      arguments.Env(),
      static_cast<double>(reinterpret_cast<uintptr_t>(arguments.Any(0).data) % 64));
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  RegisterElementwise(exports);
  RegisterLayers(exports);
  RegisterTraining(exports);
  Set<ThreadsCall>(exports, "threads");
  Set<Bfloat16Call>(exports, "bfloat16");
  Set<DescribePrimitivesCall>(exports, "describePrimitives");
  Set<AddressCall>(exports, "address");
  exports.Set("version", NODULE_VERSION);
  exports.Set("code", NODULE_CODE);
  exports.Set("isa", ActiveLoops().isa);
  exports.Set("onednn", OnednnVersion());
  exports.Set("hasBfloat16", Napi::Boolean::New(env, HasBfloat16()));
  return exports;
}

}  // namespace
}  // namespace nodule::tensor

static Napi::Object InitModule(Napi::Env env, Napi::Object exports) {
  return nodule::tensor::Init(env, exports);
}

NODE_API_MODULE(nodule_tensor, InitModule)
