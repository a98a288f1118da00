// Reads arguments of the bindings. JavaScript (src/kernels) validates first and words the errors for
// people; these checks are the second line, so that no caller of the raw addon can make it read or
// write outside its buffers.
#pragma once

#include <napi.h>

#include <cmath>
#include <cstdint>
#include <string>

namespace nodule {

template <typename T>
struct View {
  T* data = nullptr;
  size_t length = 0;
};

[[noreturn]] inline void Refuse(Napi::Env env, const std::string& name,
                                const std::string& expected) {
  throw Napi::TypeError::New(env, "Expected " + expected + " for " + name);
}

// A copy of what an argument object holds, of objects and arrays in it too. Reading the copy runs no
// JavaScript: no getter can detach an array whose memory is known already. Held, it keeps the
// arrays alive, whatever becomes of the original.
inline Napi::Object CopyObject(Napi::Env env, const Napi::Object& object, int depth = 0) {
  Napi::Object copy =
      object.IsArray() ? Napi::Array::New(env).As<Napi::Object>() : Napi::Object::New(env);
  const Napi::Array names = object.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); i++) {
    const Napi::Value name = names.Get(i);
    // Assigning to this name would set a prototype, and with it getters.
    if (name.IsString() && name.As<Napi::String>().Utf8Value() == "__proto__") continue;
    const Napi::Value value = object.Get(name);
    const bool is_nested = value.IsObject() && !value.IsTypedArray() && !value.IsFunction() &&
                           !value.IsArrayBuffer() && depth < 2;
    copy.Set(name, is_nested ? CopyObject(env, value.As<Napi::Object>(), depth + 1) : value);
  }
  return copy;
}

inline Napi::Object RequireObject(Napi::Env env, const Napi::Value& value,
                                  const std::string& name) {
  if (!value.IsObject() || value.IsTypedArray()) Refuse(env, name, "object");
  return CopyObject(env, value.As<Napi::Object>());
}

inline double RequireNumber(Napi::Env env, const Napi::Value& value, const char* name, double low,
                            double high) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok || !(number >= low && number <= high))
    Refuse(env, name, "number between " + std::to_string(low) + " and " + std::to_string(high));
  return number;
}

inline double RequireNumber(Napi::Env env, const Napi::Object& object, const char* name, double low,
                            double high) {
  return RequireNumber(env, object.Get(name), name, low, high);
}

// Sizes are bounded, so that products of three of them fit 64 bits.
constexpr double kMaxSize = 1 << 20;
// Elements of one buffer: 8 GiB of float32.
constexpr double kMaxElements = 2147483648.0;

inline size_t RequireSize(Napi::Env env, const Napi::Value& value, const char* name) {
  const double number = RequireNumber(env, value, name, 0, kMaxSize);
  if (number != std::floor(number)) Refuse(env, name, "integer");
  return static_cast<size_t>(number);
}

inline size_t RequireSize(Napi::Env env, const Napi::Object& object, const char* name) {
  return RequireSize(env, object.Get(name), name);
}

inline bool RequireBoolean(Napi::Env env, const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsBoolean()) Refuse(env, name, "boolean");
  return value.As<Napi::Boolean>().Value();
}

template <typename T>
constexpr napi_typedarray_type TypedArrayType();
template <>
constexpr napi_typedarray_type TypedArrayType<uint8_t>() {
  return napi_uint8_array;
}
template <>
constexpr napi_typedarray_type TypedArrayType<int16_t>() {
  return napi_int16_array;
}
template <>
constexpr napi_typedarray_type TypedArrayType<uint16_t>() {
  return napi_uint16_array;
}
template <>
constexpr napi_typedarray_type TypedArrayType<int32_t>() {
  return napi_int32_array;
}
template <>
constexpr napi_typedarray_type TypedArrayType<float>() {
  return napi_float32_array;
}
template <>
constexpr napi_typedarray_type TypedArrayType<double>() {
  return napi_float64_array;
}

// A typed array of exactly this type; `length` SIZE_MAX takes any. A detached one has length 0 and
// no data.
template <typename T>
View<T> RequireArray(Napi::Env env, const Napi::Value& value, const char* name, size_t length) {
  // Stays so for types that this version of Node-API does not know; none of ours.
  napi_typedarray_type type = napi_uint8_clamped_array;
  size_t elements = 0;
  void* data = nullptr;
  // Fails, without an exception, for what is no typed array.
  if (napi_get_typedarray_info(env, value, &type, &elements, &data, nullptr, nullptr) != napi_ok ||
      type != TypedArrayType<T>())
    Refuse(env, name, "typed array of the right type");
  if (length != SIZE_MAX && elements != length)
    Refuse(env, name,
           "length " + std::to_string(length) + " (received " + std::to_string(elements) + ")");
  if (elements > 0 && data == nullptr) Refuse(env, name, "array that is not detached");
  return {static_cast<T*>(data), elements};
}

template <typename T>
View<T> RequireArray(Napi::Env env, const Napi::Object& object, const char* name, size_t length) {
  return RequireArray<T>(env, static_cast<Napi::Value>(object.Get(name)), name, length);
}

}  // namespace nodule
