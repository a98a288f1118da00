#include <algorithm>
#include <limits>
#include <string>

#include "common/bindings.h"
#include "common/napi_check.h"
#include "common/napi_run.h"
#include "lungs/lungs.h"

namespace nodule {
namespace {

// An Int32Array [z, y, x] of sizes within [low, high].
Shape RequireShape(Napi::Env env, const Napi::Object& object, const char* name, int32_t low,
                   int32_t high) {
  const View<int32_t> view = RequireArray<int32_t>(env, object, name, 3);
  for (size_t axis = 0; axis < 3; axis++)
    if (view.data[axis] < low || view.data[axis] > high)
      Refuse(env, name, "sizes between " + std::to_string(low) + " and " + std::to_string(high));
  return {static_cast<size_t>(view.data[0]), static_cast<size_t>(view.data[1]),
          static_cast<size_t>(view.data[2])};
}

// The grid's shape; its voxel indices fit an int32.
Shape RequireGrid(Napi::Env env, const Napi::Object& object) {
  const Shape shape = RequireShape(env, object, "shape", 0, static_cast<int32_t>(kMaxSize));
  if (shape.Voxels() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    Refuse(env, "shape", "fewer than 2^31 voxels");
  return shape;
}

constexpr int32_t kMaxFactor = 128;

// {data: Int16Array, shape, factors: Int32Array(3), output: Int16Array}
Napi::Value ShrinkBinding(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object object = RequireObject(env, info[0], "input");
  ShrinkParams params;
  params.shape = RequireGrid(env, object);
  params.factors = RequireShape(env, object, "factors", 1, kMaxFactor);
  params.data = RequireArray<int16_t>(env, object, "data", params.shape.Voxels()).data;
  const size_t blocks = Blocks(params.shape, params.factors).Voxels();
  params.output = RequireArray<int16_t>(env, object, "output", blocks).data;
  return RunNow(env, [params] { Shrink(params); });
}

// {mask, output: Uint8Array, shape, reach: Int32Array, invert}
Napi::Value DilateBinding(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object object = RequireObject(env, info[0], "input");
  DilateParams params;
  params.shape = RequireGrid(env, object);
  params.mask = RequireArray<uint8_t>(env, object, "mask", params.shape.Voxels()).data;
  params.output = RequireArray<uint8_t>(env, object, "output", params.shape.Voxels()).data;
  params.invert = RequireBoolean(env, object, "invert");
  const View<int32_t> reach = RequireArray<int32_t>(env, object, "reach", SIZE_MAX);
  if (reach.length % 3 != 0) Refuse(env, "reach", "triples of dz, dy and half width");
  for (size_t n = 0; n < reach.length; n += 3) {
    if (reach.data[n + 2] < 0) Refuse(env, "reach", "half widths of 0 and more");
    params.ball.push_back({reach.data[n], reach.data[n + 1], reach.data[n + 2]});
  }
  return RunNow(env, [&params] { Dilate(params); });
}

Napi::Int32Array ToArray(Napi::Env env, const std::vector<int32_t>& values) {
  Napi::Int32Array array = Napi::Int32Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

// {data: Uint8Array | Int16Array, shape, below?, planar} -> {starts, ends, labels, sizes: Int32Array}
Napi::Value FindPartsBinding(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object object = RequireObject(env, info[0], "input");
  PartsParams params;
  params.shape = RequireGrid(env, object);
  const Napi::Value data = object.Get("data");
  if (data.IsTypedArray() && data.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array)
    params.mask = RequireArray<uint8_t>(env, data, "data", params.shape.Voxels()).data;
  else
    params.image = RequireArray<int16_t>(env, data, "data", params.shape.Voxels()).data;
  params.has_below = !object.Get("below").IsUndefined();
  if (params.has_below)
    params.below = static_cast<int>(RequireNumber(env, object, "below", -32768, 32767));
  params.planar = RequireBoolean(env, object, "planar");
  Parts parts;
  RunNow(env, [&] { parts = FindParts(params); });
  Napi::Object result = Napi::Object::New(env);
  result.Set("starts", ToArray(env, parts.starts));
  result.Set("ends", ToArray(env, parts.ends));
  result.Set("labels", ToArray(env, parts.labels));
  result.Set("sizes", ToArray(env, parts.sizes));
  return result;
}

// A coarse mask for each lung, or an empty one.
void RequireLungs(Napi::Env env, const Napi::Object& object, const char* name, size_t blocks,
                  const uint8_t* lungs[2]) {
  const Napi::Value value = object.Get(name);
  if (!value.IsArray()) Refuse(env, name, "array of two masks");
  for (uint32_t side = 0; side < 2; side++) {
    const View<uint8_t> view =
        RequireArray<uint8_t>(env, value.As<Napi::Array>().Get(side), name, SIZE_MAX);
    if (view.length != 0 && view.length != blocks) Refuse(env, name, "masks of the coarse grid");
    lungs[side] = view.length == 0 ? nullptr : view.data;
  }
}

// {data: Int16Array, shape, factors, closed, air: [Uint8Array, Uint8Array], trachea: Int32Array, surfaceHu,
// mask, sides: Uint8Array, counts: Float64Array(2), box: Int32Array(6)}
Napi::Value RefineBinding(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object object = RequireObject(env, info[0], "input");
  RefineParams params;
  params.shape = RequireGrid(env, object);
  const size_t voxels = params.shape.Voxels();
  params.factors = RequireShape(env, object, "factors", 1, kMaxFactor);
  params.data = RequireArray<int16_t>(env, object, "data", voxels).data;
  const size_t blocks = Blocks(params.shape, params.factors).Voxels();
  RequireLungs(env, object, "closed", blocks, params.closed);
  RequireLungs(env, object, "air", blocks, params.air);
  for (const int side : {0, 1})
    if ((params.closed[side] == nullptr) != (params.air[side] == nullptr))
      Refuse(env, "air", "a mask where closed has one");
  const View<int32_t> trachea = RequireArray<int32_t>(env, object, "trachea", SIZE_MAX);
  params.trachea.assign(trachea.data, trachea.data + trachea.length);
  for (const int32_t at : params.trachea)
    if (at < 0 || static_cast<size_t>(at) >= voxels) Refuse(env, "trachea", "voxel indices");
  params.surface_hu = static_cast<int>(RequireNumber(env, object, "surfaceHu", -32768, 32767));
  params.mask = RequireArray<uint8_t>(env, object, "mask", voxels).data;
  const View<uint8_t> sides = RequireArray<uint8_t>(env, object, "sides", SIZE_MAX);
  if (sides.length != 0 && sides.length != voxels) Refuse(env, "sides", "no or all voxels");
  params.sides = sides.length == 0 ? nullptr : sides.data;
  params.counts = RequireArray<double>(env, object, "counts", 2).data;
  params.box = RequireArray<int32_t>(env, object, "box", 6).data;
  return RunNow(env, [&params] { Refine(params); });
}

}  // namespace

void InitLungs(Napi::Env env, Napi::Object exports) {
  exports.Set("shrinkSync", Napi::Function::New(env, ShrinkBinding, "shrinkSync"));
  exports.Set("dilateSync", Napi::Function::New(env, DilateBinding, "dilateSync"));
  exports.Set("findParts", Napi::Function::New(env, FindPartsBinding, "findParts"));
  exports.Set("refineSync", Napi::Function::New(env, RefineBinding, "refineSync"));
}

}  // namespace nodule
