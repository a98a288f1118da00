#include "convolution.h"

#include <array>
#include <cstring>
#include <dnnl.hpp>
#include <map>
#include <memory>
#include <stdexcept>
#include <vector>

#include "threads.h"

namespace nodule::tensor {
namespace {

using dnnl::algorithm;
using dnnl::memory;
using dnnl::prop_kind;
using Tag = memory::format_tag;

const dnnl::engine& Engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& Stream() {
  static dnnl::stream stream(Engine());
  return stream;
}

bool use_bfloat16 = false;

// Memory that all primitives share one after another: reordered operands and oneDNN's own scratch.
class Arena {
 public:
  void Reserve(size_t bytes) {
    if (bytes <= size_) return;
    data_.reset();
    size_ = (bytes + (bytes >> 3) + 4095) & ~size_t{4095};
    data_.reset(static_cast<uint8_t*>(std::aligned_alloc(4096, size_)));
    if (data_ == nullptr) throw std::bad_alloc();
  }
  uint8_t* At(size_t offset) { return data_.get() + offset; }

 private:
  struct Free {
    void operator()(uint8_t* p) const { std::free(p); }
  };
  std::unique_ptr<uint8_t, Free> data_;
  size_t size_ = 0;
};
Arena arena;

size_t Aligned(size_t bytes) { return (bytes + 63) & ~size_t{63}; }

// One operand of a primitive: how tfjs has it, how the primitive wants it, and the reorder between the two.
struct Operand {
  memory::desc user, inner;
  bool reorder = false;
  bool output = false;
  dnnl::reorder primitive;
  size_t offset = 0;  // of the reordered copy in the arena
};

// A primitive with its operands (by oneDNN's argument number), ready to run on raw pointers.
struct Plan {
  dnnl::primitive primitive;
  std::string description;
  std::vector<std::pair<int, Operand>> operands;
  size_t arena_bytes = 0, scratch_offset = 0;
  memory::desc scratch;

  void Add(int argument, const memory::desc& user, const memory::desc& inner, bool output) {
    Operand o;
    o.user = user;
    o.inner = inner;
    o.output = output;
    o.reorder = user != inner;
    if (o.reorder) {
      const memory from(output ? inner : user, Engine(), nullptr),
          to(output ? user : inner, Engine(), nullptr);
      o.primitive = dnnl::reorder(from, to);
      o.offset = arena_bytes;
      arena_bytes += Aligned(inner.get_size());
    }
    operands.emplace_back(argument, o);
  }

  void Scratch(const memory::desc& desc) {
    scratch = desc;
    scratch_offset = arena_bytes;
    arena_bytes += Aligned(desc.get_size());
  }

  void Run(const std::array<const float*, 4>& pointers) {
    arena.Reserve(arena_bytes);
    std::unordered_map<int, memory> arguments;
    std::vector<std::pair<memory, memory>> after;
    std::vector<const Operand*> after_operand;
    for (size_t i = 0; i < operands.size(); ++i) {
      Operand& o = operands[i].second;
      memory user(o.user, Engine(), const_cast<float*>(pointers[i]));
      if (!o.reorder) {
        arguments.emplace(operands[i].first, user);
        continue;
      }
      memory inner(o.inner, Engine(), arena.At(o.offset));
      if (o.output) {
        after.emplace_back(inner, user);
        after_operand.push_back(&o);
      } else {
        o.primitive.execute(Stream(), user, inner);
      }
      arguments.emplace(operands[i].first, inner);
    }
    if (scratch.get_size() > 0)
      arguments.emplace(DNNL_ARG_SCRATCHPAD, memory(scratch, Engine(), arena.At(scratch_offset)));
    primitive.execute(Stream(), arguments);
    for (size_t i = 0; i < after.size(); ++i)
      after_operand[i]->primitive.execute(Stream(), after[i].first, after[i].second);
    Stream().wait();
  }
};

enum class Kind : int64_t { kForward, kForwardBias, kBackwardData, kBackwardFilter };
using Key = std::array<int64_t, 20>;
std::map<Key, std::unique_ptr<Plan>> plans;

Key KeyOf(Kind kind, const ConvShape& s) {
  return {static_cast<int64_t>(kind),
          s.batch,
          s.in_height,
          s.in_width,
          s.in_channels,
          s.out_height,
          s.out_width,
          s.out_channels,
          s.filter_height,
          s.filter_width,
          s.stride_height,
          s.stride_width,
          s.dilation_height,
          s.dilation_width,
          s.pad_top,
          s.pad_bottom,
          s.pad_left,
          s.pad_right,
          ThreadCount(),
          use_bfloat16};
}

struct Descriptors {
  memory::dims image, filter, output, strides, dilations, pad_low, pad_high;
  explicit Descriptors(const ConvShape& s)
      : image{s.batch, s.in_channels, s.in_height, s.in_width},
        filter{s.out_channels, s.in_channels, s.filter_height, s.filter_width},
        output{s.batch, s.out_channels, s.out_height, s.out_width},
        strides{s.stride_height, s.stride_width},
        dilations{s.dilation_height - 1, s.dilation_width - 1},
        pad_low{s.pad_top, s.pad_left},
        pad_high{s.pad_bottom, s.pad_right} {}
};

memory::desc Desc(const memory::dims& dims, Tag tag,
                  memory::data_type type = memory::data_type::f32) {
  return memory::desc(dims, type, tag);
}

dnnl::primitive_attr Attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

// Layouts to try for (image, output); the filter is always oneDNN's choice. tfjs's NHWC first, because it needs no
// reorder; a small channel count, such as the first layer's 3, has fast code only from NCHW into a blocked layout.
struct Layouts {
  Tag image, output;
};
constexpr Layouts kLayouts[] = {
    {Tag::nhwc, Tag::nhwc}, {Tag::nchw, Tag::any}, {Tag::any, Tag::any}, {Tag::nchw, Tag::nchw}};

bool IsSlow(const std::string& implementation) {
  return implementation.find("ref") != std::string::npos ||
         implementation.find("gemm") != std::string::npos;
}

// The first layout pair whose implementation is neither the reference nor a plain gemm; else a gemm; else any.
template <typename Make>
auto Choose(const Make& make) {
  using Descriptor = decltype(make(Tag::nhwc, Tag::nhwc));
  Descriptor fallback;
  bool have = false, have_gemm = false;
  for (const Layouts& layout : kLayouts) {
    Descriptor candidate;
    try {
      candidate = make(layout.image, layout.output);
    } catch (const dnnl::error&) {
      continue;
    }
    const std::string name = candidate.impl_info_str();
    if (!IsSlow(name)) return candidate;
    const bool gemm = name.find("gemm") != std::string::npos;
    if (!have || (gemm && !have_gemm)) {
      fallback = candidate;
      have = true;
      have_gemm = gemm;
    }
  }
  if (!have) throw std::runtime_error("oneDNN has no implementation of this convolution");
  return fallback;
}

dnnl::convolution_forward::primitive_desc ForwardDescriptor(const Descriptors& d, bool bias,
                                                            Tag image, Tag output) {
  const auto type = use_bfloat16 ? memory::data_type::bf16 : memory::data_type::f32;
  const auto x = Desc(d.image, image, type), w = Desc(d.filter, Tag::any, type),
             y = Desc(d.output, output);
  const auto kind = prop_kind::forward_training;
  const auto direct = algorithm::convolution_direct;
  const auto desc =
      bias ? dnnl::convolution_forward::desc(kind, direct, x, w, Desc({d.output[1]}, Tag::x), y,
                                             d.strides, d.dilations, d.pad_low, d.pad_high)
           : dnnl::convolution_forward::desc(kind, direct, x, w, y, d.strides, d.dilations,
                                             d.pad_low, d.pad_high);
  return {desc, Attributes(), Engine()};
}

// oneDNN wants a forward hint for backward descriptors; its layouts need not be the same.
dnnl::convolution_forward::primitive_desc Hint(const Descriptors& d) {
  return Choose([&](Tag image, Tag output) { return ForwardDescriptor(d, false, image, output); });
}

std::string Describe(const char* kind, const ConvShape& s, const char* implementation) {
  return std::string(kind) + " " + std::to_string(s.batch) + "x" + std::to_string(s.in_height) +
         "x" + std::to_string(s.in_width) + "x" + std::to_string(s.in_channels) + " -> " +
         std::to_string(s.out_channels) + " k" + std::to_string(s.filter_height) + "x" +
         std::to_string(s.filter_width) + " s" + std::to_string(s.stride_height) + " " +
         implementation;
}

std::unique_ptr<Plan> MakeForward(const ConvShape& s, bool bias) {
  const Descriptors d(s);
  const auto pd =
      Choose([&](Tag image, Tag output) { return ForwardDescriptor(d, bias, image, output); });
  auto plan = std::make_unique<Plan>();
  plan->primitive = dnnl::convolution_forward(pd);
  plan->description = Describe("forward", s, pd.impl_info_str());
  plan->Add(DNNL_ARG_SRC, Desc(d.image, Tag::nhwc), pd.src_desc(), false);
  plan->Add(DNNL_ARG_WEIGHTS, Desc(d.filter, Tag::hwio), pd.weights_desc(), false);
  if (bias) plan->Add(DNNL_ARG_BIAS, Desc({d.output[1]}, Tag::x), pd.bias_desc(), false);
  plan->Add(DNNL_ARG_DST, Desc(d.output, Tag::nhwc), pd.dst_desc(), true);
  plan->Scratch(pd.scratchpad_desc());
  return plan;
}

std::unique_ptr<Plan> MakeBackwardData(const ConvShape& s) {
  const Descriptors d(s);
  const auto hint = Hint(d);
  const auto type = use_bfloat16 ? memory::data_type::bf16 : memory::data_type::f32;
  const auto pd = Choose([&](Tag image, Tag output) {
    const dnnl::convolution_backward_data::desc desc(
        algorithm::convolution_direct, Desc(d.image, image), Desc(d.filter, Tag::any, type),
        Desc(d.output, output, type), d.strides, d.dilations, d.pad_low, d.pad_high);
    return dnnl::convolution_backward_data::primitive_desc(desc, Attributes(), Engine(), hint);
  });
  auto plan = std::make_unique<Plan>();
  plan->primitive = dnnl::convolution_backward_data(pd);
  plan->description = Describe("backward data", s, pd.impl_info_str());
  plan->Add(DNNL_ARG_DIFF_DST, Desc(d.output, Tag::nhwc), pd.diff_dst_desc(), false);
  plan->Add(DNNL_ARG_WEIGHTS, Desc(d.filter, Tag::hwio), pd.weights_desc(), false);
  plan->Add(DNNL_ARG_DIFF_SRC, Desc(d.image, Tag::nhwc), pd.diff_src_desc(), true);
  plan->Scratch(pd.scratchpad_desc());
  return plan;
}

std::unique_ptr<Plan> MakeBackwardFilter(const ConvShape& s) {
  const Descriptors d(s);
  const auto hint = Hint(d);
  const auto type = use_bfloat16 ? memory::data_type::bf16 : memory::data_type::f32;
  const auto pd = Choose([&](Tag image, Tag output) {
    const dnnl::convolution_backward_weights::desc desc(
        algorithm::convolution_direct, Desc(d.image, image, type), Desc(d.filter, Tag::any),
        Desc(d.output, output, type), d.strides, d.dilations, d.pad_low, d.pad_high);
    return dnnl::convolution_backward_weights::primitive_desc(desc, Attributes(), Engine(), hint);
  });
  auto plan = std::make_unique<Plan>();
  plan->primitive = dnnl::convolution_backward_weights(pd);
  plan->description = Describe("backward filter", s, pd.impl_info_str());
  plan->Add(DNNL_ARG_SRC, Desc(d.image, Tag::nhwc), pd.src_desc(), false);
  plan->Add(DNNL_ARG_DIFF_DST, Desc(d.output, Tag::nhwc), pd.diff_dst_desc(), false);
  plan->Add(DNNL_ARG_DIFF_WEIGHTS, Desc(d.filter, Tag::hwio), pd.diff_weights_desc(), true);
  plan->Scratch(pd.scratchpad_desc());
  return plan;
}

template <typename Make>
Plan& Find(Kind kind, const ConvShape& s, const Make& make) {
  auto& plan = plans[KeyOf(kind, s)];
  if (plan == nullptr) {
    // Shapes of a training run are few; a caller with endless shapes must not grow the cache without bound.
    if (plans.size() > 2048) {
      plans.clear();
      return Find(kind, s, make);
    }
    plan = make();
  }
  return *plan;
}

// A 1x1 convolution is a product of [pixels, channels] matrices. As such it needs no reorder of the filter, and
// oneDNN 2.6.3 does it faster (240 against 180 GFLOP/s on a Zen 5 core).
bool IsProduct(const ConvShape& s) {
  return s.filter_height == 1 && s.filter_width == 1 && s.stride_height == 1 &&
         s.stride_width == 1 && s.out_height == s.in_height && s.out_width == s.in_width &&
         !use_bfloat16;
}

int64_t Pixels(const ConvShape& s) { return s.batch * s.out_height * s.out_width; }

}  // namespace

void ConvForward(const ConvShape& s, const float* x, const float* filter, const float* bias,
                 float* y) {
  if (bias == nullptr && IsProduct(s)) {
    MatMul(false, false, Pixels(s), s.out_channels, s.in_channels, x, filter, y, false);
    return;
  }
  if (bias != nullptr) {
    Find(Kind::kForwardBias, s, [&] { return MakeForward(s, true); }).Run({x, filter, bias, y});
  } else {
    Find(Kind::kForward, s, [&] { return MakeForward(s, false); }).Run({x, filter, y, nullptr});
  }
}

void ConvBackwardData(const ConvShape& s, const float* dy, const float* filter, float* dx) {
  if (IsProduct(s)) {
    MatMul(false, true, Pixels(s), s.in_channels, s.out_channels, dy, filter, dx, false);
    return;
  }
  Find(Kind::kBackwardData, s, [&] { return MakeBackwardData(s); }).Run({dy, filter, dx, nullptr});
}

void ConvBackwardFilter(const ConvShape& s, const float* x, const float* dy, float* d_filter) {
  if (IsProduct(s)) {
    MatMul(true, false, s.in_channels, s.out_channels, Pixels(s), x, dy, d_filter, false);
    return;
  }
  Find(Kind::kBackwardFilter, s, [&] {
    return MakeBackwardFilter(s);
  }).Run({x, dy, d_filter, nullptr});
}

void MatMul(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
            const float* b, float* c, bool accumulate) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (accumulate) return;
    std::memset(c, 0, static_cast<size_t>(m * n) * sizeof(float));
    return;
  }
  const auto status =
      dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a,
                 transpose_a ? m : k, b, transpose_b ? k : n, accumulate ? 1.0f : 0.0f, c, n);
  if (status != dnnl_success) throw std::runtime_error("oneDNN refused a matrix product");
}

bool HasBfloat16() {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

bool Bfloat16() { return use_bfloat16; }

bool SetBfloat16(bool on) { return use_bfloat16 = on && HasBfloat16(); }

std::string OnednnVersion() {
  const dnnl_version_t* v = dnnl_version();
  return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
}

std::string DescribePrimitives() {
  std::string text;
  for (const auto& [key, plan] : plans) {
    if (plan == nullptr) continue;
    text += plan->description;
    size_t reorders = 0;
    for (const auto& operand : plan->operands) reorders += operand.second.reorder;
    text += " reorders " + std::to_string(reorders) + "\n";
  }
  return text;
}

void ClearPrimitives() { plans.clear(); }

}  // namespace nodule::tensor
