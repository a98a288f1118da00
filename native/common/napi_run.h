// Runs a kernel at once or off the event loop.
#pragma once

#include <napi.h>

#include <exception>
#include <functional>
#include <string>
#include <utility>

namespace nodule {

class KernelWorker final : public Napi::AsyncWorker {
 public:
  KernelWorker(Napi::Env env, const Napi::Object& keep_alive, std::function<void()> work)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        keep_alive_(Napi::Persistent(keep_alive)),
        work_(std::move(work)) {}

  Napi::Promise Promise() const { return deferred_.Promise(); }
  void Execute() override { work_(); }  // AsyncWorker turns an exception into OnError
  void OnOK() override { deferred_.Resolve(Env().Undefined()); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference
      keep_alive_;  // the argument object, whose buffers the work reads and writes
  std::function<void()> work_;
};

// Runs the work here and returns undefined.
template <typename Work>
Napi::Value RunNow(Napi::Env env, const Work& work) {
  try {
    work();
  } catch (const std::exception& error) {
    throw Napi::Error::New(env, error.what());
  }
  return env.Undefined();
}

// `async`: returns a promise, and the work runs on a thread of libuv's pool; else it runs here and
// returns undefined. The work must not touch Node-API; it reports failures as std::exception.
inline Napi::Value RunKernel(Napi::Env env, const Napi::Object& keep_alive, bool async,
                             std::function<void()> work) {
  if (async) {
    auto* worker = new KernelWorker(env, keep_alive, std::move(work));
    worker->Queue();
    return worker->Promise();
  }
  return RunNow(env, work);
}

// Exports `kernel` as `name` (asynchronous) and `nameSync`.
inline void ExportKernel(Napi::Env env, Napi::Object exports, const std::string& name,
                         Napi::Value (*kernel)(const Napi::CallbackInfo&, bool async)) {
  const auto run = [kernel](const Napi::CallbackInfo& info) { return kernel(info, true); };
  const auto run_sync = [kernel](const Napi::CallbackInfo& info) { return kernel(info, false); };
  exports.Set(name, Napi::Function::New(env, run, name));
  exports.Set(name + "Sync", Napi::Function::New(env, run_sync, name + "Sync"));
}

}  // namespace nodule
