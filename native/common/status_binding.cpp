// What the addon was built with and what it finds on this machine; the size of the thread pool.
#include <string>

#include "common/bindings.h"
#include "common/device.h"
#include "common/napi_check.h"
#include "common/parallel.h"

namespace nodule {
namespace {

std::string CudaStatus() {
#if defined(NODULE_WITH_CUDA)
  return CudaProblem().empty() ? CudaDescription() : CudaProblem();
#else
  return "not built";
#endif
}

bool CudaUsable() {
#if defined(NODULE_WITH_CUDA)
  return CudaProblem().empty();
#else
  return false;
#endif
}

// () -> {version, cuda, cudaUsable, threads, isa}
Napi::Value Status(const Napi::CallbackInfo& info) {
  Napi::Object status = Napi::Object::New(info.Env());
  status.Set("version", NODULE_VERSION);
  status.Set("cuda", CudaStatus());
  status.Set("cudaUsable", CudaUsable());
  status.Set("threads", ThreadCount());
  status.Set("isa", InstructionSet());
  return status;
}

// (count)
Napi::Value SetThreads(const Napi::CallbackInfo& info) {
  const double count = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : 0;
  if (!(count >= 1 && count <= 1024)) Refuse(info.Env(), "threads", "integer between 1 and 1024");
  SetThreadCount(static_cast<int>(count));
  return info.Env().Undefined();
}

// () -> undefined: what a call costs.
Napi::Value Nothing(const Napi::CallbackInfo& info) { return info.Env().Undefined(); }

}  // namespace

void InitStatus(Napi::Env env, Napi::Object exports) {
  exports.Set("status", Napi::Function::New(env, Status));
  exports.Set("setThreads", Napi::Function::New(env, SetThreads));
  exports.Set("nothing", Napi::Function::New(env, Nothing));
}

}  // namespace nodule
