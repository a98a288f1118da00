#include "convolution.h"

#include <dnnl.hpp>
#include <memory>
#include <stdexcept>
#include <string>

#include "convolution_pieces.h"
#include "matrix_product.h"
#include "onednn_plan.h"
#include "patches.h"
#include "winograd.h"

namespace nodule::tensor {
namespace {

using dnnl::algorithm;
using dnnl::memory;
using dnnl::prop_kind;
using Tag = memory::format_tag;

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

dnnl::convolution_forward::primitive_desc ForwardDescriptor(const Descriptors& d, Tag image,
                                                            Tag output) {
  const auto type = ComputeType();
  const dnnl::convolution_forward::desc desc(
      prop_kind::forward_training, algorithm::convolution_direct, Desc(d.image, image, type),
      Desc(d.filter, Tag::any, type), Desc(d.output, output), d.strides, d.dilations, d.pad_low,
      d.pad_high);
  return {desc, PlanAttributes(), OnednnEngine()};
}

// oneDNN wants a forward hint for backward descriptors; its layouts need not be the same.
dnnl::convolution_forward::primitive_desc Hint(const Descriptors& d) {
  return Choose([&](Tag image, Tag output) { return ForwardDescriptor(d, image, output); });
}

std::string Describe(const char* kind, const ConvShape& s, const char* implementation) {
  return std::string(kind) + " " + std::to_string(s.batch) + "x" + std::to_string(s.in_height) +
         "x" + std::to_string(s.in_width) + "x" + std::to_string(s.in_channels) + " -> " +
         std::to_string(s.out_channels) + " k" + std::to_string(s.filter_height) + "x" +
         std::to_string(s.filter_width) + " s" + std::to_string(s.stride_height) + " " +
         implementation;
}

std::unique_ptr<Plan> MakeForward(const ConvShape& s) {
  const Descriptors d(s);
  const auto pd = Hint(d);
  auto plan = std::make_unique<Plan>(dnnl::convolution_forward(pd), pd.scratchpad_desc(),
                                     Describe("forward", s, pd.impl_info_str()),
                                     IsSlow(pd.impl_info_str()));
  plan->Add(DNNL_ARG_SRC, Desc(d.image, Tag::nhwc), pd.src_desc(), false);
  plan->Add(DNNL_ARG_WEIGHTS, Desc(d.filter, Tag::hwio), pd.weights_desc(), false);
  plan->Add(DNNL_ARG_DST, Desc(d.output, Tag::nhwc), pd.dst_desc(), true);
  return plan;
}

std::unique_ptr<Plan> MakeBackwardData(const ConvShape& s) {
  const Descriptors d(s);
  const auto hint = Hint(d);
  const auto type = ComputeType();
  const auto pd = Choose([&](Tag image, Tag output) {
    const dnnl::convolution_backward_data::desc desc(
        algorithm::convolution_direct, Desc(d.image, image), Desc(d.filter, Tag::any, type),
        Desc(d.output, output, type), d.strides, d.dilations, d.pad_low, d.pad_high);
    return dnnl::convolution_backward_data::primitive_desc(desc, PlanAttributes(), OnednnEngine(),
                                                           hint);
  });
  auto plan = std::make_unique<Plan>(dnnl::convolution_backward_data(pd), pd.scratchpad_desc(),
                                     Describe("backward data", s, pd.impl_info_str()),
                                     IsSlow(pd.impl_info_str()));
  plan->Add(DNNL_ARG_DIFF_DST, Desc(d.output, Tag::nhwc), pd.diff_dst_desc(), false);
  plan->Add(DNNL_ARG_WEIGHTS, Desc(d.filter, Tag::hwio), pd.weights_desc(), false);
  plan->Add(DNNL_ARG_DIFF_SRC, Desc(d.image, Tag::nhwc), pd.diff_src_desc(), true);
  return plan;
}

std::unique_ptr<Plan> MakeBackwardFilter(const ConvShape& s) {
  const Descriptors d(s);
  const auto hint = Hint(d);
  const auto type = ComputeType();
  const auto pd = Choose([&](Tag image, Tag output) {
    const dnnl::convolution_backward_weights::desc desc(
        algorithm::convolution_direct, Desc(d.image, image, type), Desc(d.filter, Tag::any),
        Desc(d.output, output, type), d.strides, d.dilations, d.pad_low, d.pad_high);
    return dnnl::convolution_backward_weights::primitive_desc(desc, PlanAttributes(),
                                                              OnednnEngine(), hint);
  });
  auto plan = std::make_unique<Plan>(dnnl::convolution_backward_weights(pd), pd.scratchpad_desc(),
                                     Describe("backward filter", s, pd.impl_info_str()),
                                     IsSlow(pd.impl_info_str()));
  plan->Add(DNNL_ARG_SRC, Desc(d.image, Tag::nhwc), pd.src_desc(), false);
  plan->Add(DNNL_ARG_DIFF_DST, Desc(d.output, Tag::nhwc), pd.diff_dst_desc(), false);
  plan->Add(DNNL_ARG_DIFF_WEIGHTS, Desc(d.filter, Tag::hwio), pd.diff_weights_desc(), true);
  return plan;
}

// A 1x1 convolution is a product of [pixels, channels] matrices. As such it needs no reorder of the filter.
bool IsProduct(const ConvShape& s) {
  return s.filter_height == 1 && s.filter_width == 1 && s.stride_height == 1 &&
         s.stride_width == 1 && s.out_height == s.in_height && s.out_width == s.in_width;
}

// oneDNN 2.6's 1x1 filter gradient writes behind its scratch memory where it has to skip pixels and these have fewer
// channels than a register has numbers: wrong gradients, or a damaged heap.
bool IsUnsafeFilterGradient(const ConvShape& s) {
  constexpr int64_t kRegister = 16;
  return s.filter_height == 1 && s.filter_width == 1 && s.in_channels < kRegister;
}

}  // namespace

void ConvForward(const ConvShape& s, const float* x, const float* filter, float* y) {
  if (IsProduct(s)) {
    MatMul(false, false, Pixels(s), s.out_channels, s.in_channels, x, filter, y, false);
    return;
  }
  if (IsWinograd(s)) {
    WinogradForward(s, x, filter, y);
    return;
  }
  if (IsPatchProduct(s)) {
    PatchForward(s, x, filter, y);
    return;
  }
  if (RunInPieces(kPlanForward, s, {ConvRole::kImage, ConvRole::kFilter, ConvRole::kOutput},
                  {x, filter, y}, MakeForward))
    return;
  FindPlan(ConvKey(kPlanForward, s), [&] { return MakeForward(s); }).Run({x, filter, y, nullptr});
}

void ConvBackwardData(const ConvShape& s, const float* dy, const float* filter, float* dx) {
  if (IsProduct(s)) {
    MatMul(false, true, Pixels(s), s.in_channels, s.out_channels, dy, filter, dx, false);
    return;
  }
  if (IsWinograd(s)) {
    WinogradBackwardData(s, dy, filter, dx);
    return;
  }
  if (IsPatchProduct(s)) {
    PatchBackwardData(s, dy, filter, dx);
    return;
  }
  if (RunInPieces(kPlanBackwardData, s, {ConvRole::kOutput, ConvRole::kFilter, ConvRole::kImage},
                  {dy, filter, dx}, MakeBackwardData))
    return;
  FindPlan(ConvKey(kPlanBackwardData, s), [&] {
    return MakeBackwardData(s);
  }).Run({dy, filter, dx, nullptr});
}

void ConvBackwardFilter(const ConvShape& s, const float* x, const float* dy, float* d_filter) {
  if (IsProduct(s)) {
    MatMul(true, false, s.in_channels, s.out_channels, Pixels(s), x, dy, d_filter, false);
    return;
  }
  if (IsWinograd(s)) {
    WinogradBackwardFilter(s, x, dy, d_filter);
    return;
  }
  if (IsPatchProduct(s) || IsUnsafeFilterGradient(s)) {
    PatchBackwardFilter(s, x, dy, d_filter);
    return;
  }
  if (RunInPieces(kPlanBackwardFilter, s, {ConvRole::kImage, ConvRole::kOutput, ConvRole::kFilter},
                  {x, dy, d_filter}, MakeBackwardFilter))
    return;
  FindPlan(ConvKey(kPlanBackwardFilter, s), [&] {
    return MakeBackwardFilter(s);
  }).Run({x, dy, d_filter, nullptr});
}

}  // namespace nodule::tensor
