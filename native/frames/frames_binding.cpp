#include <memory>

#include "common/bindings.h"
#include "common/napi_check.h"
#include "common/napi_device.h"
#include "common/napi_run.h"
#include "frames/frames.h"
#include "hu/hu_binding.h"

namespace nodule {
namespace {

constexpr size_t kMaxFrameSide = 16384;

// {first, count: Int32Array, weights: Float64Array (to be multiplied by scale), width}; every input
// that they name lies in [0, inputs).
FrameTaps ReadTaps(Napi::Env env, const Napi::Object& object, const char* name, size_t inputs,
                   double scale) {
  const Napi::Object from = RequireObject(env, object.Get(name), name);
  FrameTaps taps;
  taps.width = RequireSize(env, from, "width");
  const View<int32_t> first = RequireArray<int32_t>(env, from, "first", SIZE_MAX);
  taps.size = first.length;
  if (taps.size > kMaxFrameSide) Refuse(env, name, "at most 16384 outputs");
  const View<int32_t> count = RequireArray<int32_t>(env, from, "count", taps.size);
  const View<double> weights = RequireArray<double>(env, from, "weights", taps.size * taps.width);
  taps.first.assign(first.data, first.data + taps.size);
  taps.count.assign(count.data, count.data + taps.size);
  taps.weights.resize(weights.length);
  int64_t low = static_cast<int64_t>(inputs), high = 0, previous = 0;
  for (size_t u = 0; u < taps.size; u++) {
    const int64_t begin = taps.first[u], length = taps.count[u];
    if (begin < 0) continue;
    if (length < 1 || length > static_cast<int64_t>(taps.width) ||
        begin + length > static_cast<int64_t>(inputs))
      Refuse(env, std::string(name) + ".count[" + std::to_string(u) + "]", "taps inside the image");
    if (begin < previous) Refuse(env, std::string(name) + ".first", "positions that do not fall");
    previous = begin;
    low = std::min(low, begin);
    high = std::max(high, begin + length);
    for (int64_t n = 0; n < length; n++) {
      const double weight = weights.data[u * taps.width + n];
      if (!(std::abs(weight) <= 1e6)) Refuse(env, std::string(name) + ".weights", "finite numbers");
      taps.weights[u * taps.width + n] = static_cast<float>(weight * scale);
    }
  }
  taps.low = static_cast<size_t>(std::min(low, high));
  taps.high = static_cast<size_t>(high);
  return taps;
}

// ReadHuParams and {rows, columns, x, y: taps, sources: Int32Array, channels, nchw, outside,
// windowLow, windowScale, factor, offset, output: Uint8Array | Float32Array, device}
Napi::Value Render(const Napi::CallbackInfo& info, bool async) {
  const Napi::Env env = info.Env();
  const Napi::Object object = RequireObject(env, info[0], "input");
  auto p = std::make_shared<FramesParams>();
  ReadHuParams(env, object, true, &p->hu);
  p->rows = RequireSize(env, object, "rows");
  p->columns = RequireSize(env, object, "columns");
  if (!p->hu.slices.empty() && p->hu.pixels != p->rows * p->columns)
    Refuse(env, "slices", "rows * columns pixels");
  const double scale = RequireNumber(env, object, "windowScale", 0, 1e6);
  const double bias = 0.5 - RequireNumber(env, object, "windowLow", -32768, 32767) * scale;
  p->bias = static_cast<float>(bias);
  p->outside_level =
      static_cast<float>(bias + RequireNumber(env, object, "outside", -32768, 32767) * scale);
  p->x = ReadTaps(env, object, "x", p->columns, scale);
  p->y = ReadTaps(env, object, "y", p->rows, 1);
  p->channels = RequireSize(env, object, "channels");
  const View<int32_t> sources = RequireArray<int32_t>(env, object, "sources", SIZE_MAX);
  if (p->channels < 1 || sources.length % p->channels != 0)
    Refuse(env, "sources", "frames * channels slices");
  p->frames = sources.length / p->channels;
  p->sources.assign(sources.data, sources.data + sources.length);
  for (const int32_t source : p->sources)
    if (source < 0 || static_cast<size_t>(source) >= p->hu.slices.size())
      Refuse(env, "sources", "slice indices");
  p->nchw = RequireBoolean(env, object, "nchw");
  p->factor = static_cast<float>(RequireNumber(env, object, "factor", -1e6, 1e6));
  p->offset = static_cast<float>(RequireNumber(env, object, "offset", -1e6, 1e6));
  if (static_cast<double>(sources.length) * p->x.size * p->y.size > kMaxElements)
    Refuse(env, "sources", "at most 2^31 elements of output");
  const size_t outputs = sources.length * p->x.size * p->y.size;
  const Napi::Value output = object.Get("output");
  if (output.IsTypedArray() && output.As<Napi::TypedArray>().TypedArrayType() == napi_float32_array)
    p->output_float = RequireArray<float>(env, output, "output", outputs).data;
  else
    p->output_uint8 = RequireArray<uint8_t>(env, output, "output", outputs).data;
  const Device device = RequireDevice(env, object);
  return RunKernel(env, object, async, [p, device] {
    if (p->output_float != nullptr || p->output_uint8 != nullptr) RenderFrames(*p, device);
  });
}

}  // namespace

void InitFrames(Napi::Env env, Napi::Object exports) {
  ExportKernel(env, exports, "frames", Render);
}

}  // namespace nodule
