// Arguments of the tensor bindings. src/engine/onednn computes shapes and validates; these checks only make sure
// that no call can read or write outside the buffers that it was given.
#pragma once

#include <napi.h>

#include <initializer_list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "threads.h"

namespace nodule::tensor {

/// No buffer holds more elements.
constexpr int64_t kMostElements = int64_t{1} << 40;

struct Buffer {
  void* data;
  int64_t length;  // in elements
  napi_typedarray_type type;
  int size() const { return type == napi_uint8_array ? 1 : 4; }
};

class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info), env_(info.Env()) {}

  Buffer Any(size_t i) const { return BufferOf(info_[i], i); }

  float* Floats(size_t i, int64_t at_least) const { return FloatsOf(info_[i], i, at_least); }
  float* FloatsOrNull(size_t i, int64_t at_least) const {
    return info_[i].IsNull() || info_[i].IsUndefined() ? nullptr : Floats(i, at_least);
  }
  float* FloatsOf(const Napi::Value& value, size_t i, int64_t at_least) const {
    const Buffer b = BufferOf(value, i);
    Require(b.type == napi_float32_array, i, "Float32Array");
    Require(b.length >= at_least, i, "at least " + std::to_string(at_least) + " elements");
    return static_cast<float*>(b.data);
  }
  uint8_t* Bytes(size_t i, int64_t at_least) const {
    const Buffer b = Any(i);
    Require(b.type == napi_uint8_array && b.length >= at_least, i,
            "Uint8Array that is long enough");
    return static_cast<uint8_t*>(b.data);
  }
  int32_t* Integers(size_t i, int64_t at_least) const {
    const Buffer b = Any(i);
    Require(b.type == napi_int32_array && b.length >= at_least, i,
            "Int32Array that is long enough");
    return static_cast<int32_t*>(b.data);
  }
  double Number(size_t i) const {
    double value = 0;
    Require(napi_get_value_double(env_, info_[i], &value) == napi_ok, i, "number");
    return value;
  }
  /// A size: 0 .. 2^40.
  int64_t Size(size_t i) const {
    const double value = Number(i);
    Require(value >= 0 && value <= static_cast<double>(kMostElements), i, "size");
    return static_cast<int64_t>(value);
  }
  /// The product of sizes >= 0, of which argument i is one: it does not overflow, but is refused above 2^40.
  int64_t Product(size_t i, std::initializer_list<int64_t> sizes) const {
    int64_t product = 1;
    for (const int64_t size : sizes) {
      Require(product == 0 || size <= kMostElements / product, i,
              "sizes of at most 2^40 elements together");
      product *= size;
    }
    return product;
  }
  int Opcode(size_t i, int count) const {
    const double value = Number(i);
    Require(value >= 0 && value < count, i, "opcode");
    return static_cast<int>(value);
  }
  bool Boolean(size_t i) const {
    bool value = false;
    Require(napi_get_value_bool(env_, info_[i], &value) == napi_ok, i, "boolean");
    return value;
  }
  Napi::Array Array(size_t i) const {
    Require(info_[i].IsArray(), i, "array");
    return info_[i].As<Napi::Array>();
  }
  /// The elements of an array of Float32Arrays.
  std::vector<Buffer> FloatArrays(size_t i) const {
    const Napi::Array list = Array(i);
    std::vector<Buffer> buffers;
    for (uint32_t at = 0; at < list.Length(); ++at) {
      buffers.push_back(BufferOf(static_cast<Napi::Value>(list[at]), i));
      Require(buffers.back().type == napi_float32_array, i, "Float32Arrays");
    }
    return buffers;
  }
  bool Missing(size_t i) const { return info_[i].IsUndefined() || info_[i].IsNull(); }
  void Require(bool good, size_t i, const std::string& expected) const {
    if (!good)
      throw std::invalid_argument("argument " + std::to_string(i) + ": expected " + expected);
  }
  Napi::Env Env() const { return env_; }

 private:
  Buffer BufferOf(const Napi::Value& value, size_t i) const {
    Buffer b{};
    size_t length = 0;
    Require(napi_get_typedarray_info(env_, value, &b.type, &length, &b.data, nullptr, nullptr) ==
                    napi_ok &&
                (b.type == napi_uint8_array || b.type == napi_int32_array ||
                 b.type == napi_float32_array),
            i, "Uint8Array, Int32Array or Float32Array");
    b.length = static_cast<int64_t>(length);
    return b;
  }

  const Napi::CallbackInfo& info_;
  Napi::Env env_;
};

/// Held by every call of the module.
std::mutex& CallMutex();

/// Turns a function on Arguments into an export; any C++ exception becomes a JavaScript Error.
template <Napi::Value (*function)(const Arguments&)>
Napi::Value Export(const Napi::CallbackInfo& info) {
  // The primitives and their scratch memory are shared by all threads of the process (worker_threads).
  static std::mutex& mutex = CallMutex();
  const std::lock_guard<std::mutex> lock(mutex);
  const SignalBlock block;
  // OpenMP has a number for each of them.
  UseThreadCount();
  try {
    return function(Arguments(info));
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Napi::Error::New(info.Env(), error.what());
  }
}

template <Napi::Value (*function)(const Arguments&)>
void Set(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<Export<function>>(exports.Env(), name));
}

/// Opcodes for JavaScript: each name with its place in the list.
inline Napi::Object Names(Napi::Env env, const std::vector<const char*>& names) {
  Napi::Object object = Napi::Object::New(env);
  for (size_t i = 0; i < names.size(); ++i) object.Set(names[i], static_cast<double>(i));
  return object;
}

void RegisterElementwise(Napi::Object exports);
void RegisterLayers(Napi::Object exports);
void RegisterTraining(Napi::Object exports);

}  // namespace nodule::tensor
