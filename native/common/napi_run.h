// Runs a kernel at once or off the event loop.
#pragma once

#include <napi.h>

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace nodule {

// Work on a thread of libuv's pool. In plain Node-API: where a worker thread ends while the work
// runs, the calls that answer fail, which must be no C++ exception (nobody waits for the answer).
class KernelWorker final {
 public:
  // `keep_alive`: holds the arrays that the work reads and writes.
  static Napi::Value Start(Napi::Env env, const Napi::Object& keep_alive,
                           std::function<void()> work) {
    std::unique_ptr<KernelWorker> worker(new KernelWorker(std::move(work)));
    napi_value promise = nullptr, name = nullptr;
    Check(env, napi_create_promise(env, &worker->deferred_, &promise));
    Check(env, napi_create_reference(env, keep_alive, 1, &worker->keep_alive_));
    Check(env, napi_create_string_utf8(env, "nodule:kernel", NAPI_AUTO_LENGTH, &name));
    Check(env, napi_create_async_work(env, nullptr, name, Execute, Complete, worker.get(),
                                      &worker->handle_));
    Check(env, napi_queue_async_work(env, worker->handle_));
    worker.release();  // Complete frees it
    return Napi::Value(env, promise);
  }

 private:
  explicit KernelWorker(std::function<void()> work) : work_(std::move(work)) {}

  static void Check(Napi::Env env, napi_status status) {
    if (status != napi_ok) throw Napi::Error::New(env, "cannot start the work");
  }

  static void Execute(napi_env, void* data) {
    auto* worker = static_cast<KernelWorker*>(data);
    try {
      worker->work_();
    } catch (const std::exception& error) {
      worker->has_failed_ = true;
      worker->problem_ = error.what();
    }
  }

  static void Complete(napi_env env, napi_status, void* data) {
    const std::unique_ptr<KernelWorker> worker(static_cast<KernelWorker*>(data));
    napi_handle_scope scope = nullptr;
    if (napi_open_handle_scope(env, &scope) != napi_ok) return;
    napi_value value = nullptr, message = nullptr;
    if (!worker->has_failed_) {
      if (napi_get_undefined(env, &value) == napi_ok)
        napi_resolve_deferred(env, worker->deferred_, value);
    } else if (napi_create_string_utf8(env, worker->problem_.c_str(), NAPI_AUTO_LENGTH, &message) ==
                   napi_ok &&
               napi_create_error(env, nullptr, message, &value) == napi_ok) {
      napi_reject_deferred(env, worker->deferred_, value);
    }
    napi_delete_reference(env, worker->keep_alive_);
    napi_delete_async_work(env, worker->handle_);
    napi_close_handle_scope(env, scope);
  }

  std::function<void()> work_;
  bool has_failed_ = false;
  std::string problem_;
  napi_deferred deferred_ = nullptr;
  napi_ref keep_alive_ = nullptr;
  napi_async_work handle_ = nullptr;
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
  if (async) return KernelWorker::Start(env, keep_alive, std::move(work));
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
