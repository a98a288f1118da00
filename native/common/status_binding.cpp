// What the addon was built with and what it finds on this machine; the size of the thread pool.
#include <atomic>
#include <cstring>
#include <string>
#include <vector>

#include "common/bindings.h"
#include "common/device.h"
#include "common/host_device.h"
#include "common/napi_check.h"
#include "common/parallel.h"
#include "nodule_code.h"

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

// () -> {cuda, cudaUsable, threads, isa}
Napi::Value Status(const Napi::CallbackInfo& info) {
  Napi::Object status = Napi::Object::New(info.Env());
  status.Set("cuda", CudaStatus());
  status.Set("cudaUsable", CudaUsable());
  status.Set("threads", ThreadCount());
  status.Set("isa", InstructionSet());
  return status;
}

// (count, once?): `once`: only where nobody in this process, a worker thread included, has set it.
Napi::Value SetThreads(const Napi::CallbackInfo& info) {
  const double count = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : 0;
  if (!(count >= 1 && count <= 1024)) Refuse(info.Env(), "threads", "integer between 1 and 1024");
  static std::atomic<bool> is_set{false};
  const bool once = info[1].IsBoolean() && info[1].As<Napi::Boolean>().Value();
  if (!is_set.exchange(true) || !once) SetThreadCount(static_cast<int>(count));
  return info.Env().Undefined();
}

NODULE_CLONES uint64_t SumWords(const uint8_t* data, size_t words) {
  uint64_t sum = 0;
  for (size_t i = 0; i < words; i++) {
    uint64_t word;
    std::memcpy(&word, data + i * 8, 8);
    sum += word;
  }
  return sum;
}

// () -> undefined: what a call costs.
Napi::Value Nothing(const Napi::CallbackInfo& info) { return info.Env().Undefined(); }

// ([Uint8Array, ...]) -> a sum: what reading the bytes costs, on the threads of the pool.
Napi::Value ReadBytes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsArray()) Refuse(env, "arrays", "array");
  const Napi::Array arrays = info[0].As<Napi::Array>();
  std::vector<View<uint8_t>> views;
  for (uint32_t i = 0; i < arrays.Length(); i++)
    views.push_back(RequireArray<uint8_t>(env, arrays.Get(i), "arrays", SIZE_MAX));
  std::atomic<uint64_t> total{0};
  ParallelFor(views.size(), 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++) total += SumWords(views[i].data, views[i].length / 8);
  });
  return Napi::Number::New(env, static_cast<double>(total.load() % 4096));
}

}  // namespace

void InitStatus(Napi::Env env, Napi::Object exports) {
  exports.Set("version", NODULE_VERSION);
  exports.Set("code", NODULE_CODE);
  exports.Set("status", Napi::Function::New(env, Status));
  exports.Set("setThreads", Napi::Function::New(env, SetThreads));
  exports.Set("readBytes", Napi::Function::New(env, ReadBytes));
  exports.Set("nothing", Napi::Function::New(env, Nothing));
}

}  // namespace nodule
