#include "matrix_product.h"

#include <algorithm>
#include <cstring>
#include <dnnl.hpp>
#include <stdexcept>
#include <vector>

#include "onednn_plan.h"
#include "threads.h"

namespace nodule::tensor {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

// Below this many multiplications sgemm's shorter call is faster.
constexpr int64_t kSmall = 1 << 20;

std::string Describe(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                     const char* implementation) {
  return std::string("product ") + std::to_string(m) + "x" + std::to_string(k) +
         (transpose_a ? "t" : "") + " * " + std::to_string(k) + "x" + std::to_string(n) +
         (transpose_b ? "t" : "") + " " + implementation;
}

// Rows of a piece: with fewer, packing b again for each costs more than another thread saves.
constexpr int64_t kPieceRows = 40;
// The parts of a transposed a, which are some of its columns, begin where a register would.
constexpr int64_t kColumnStep = 16;

// `all_rows` of the matrices that a and c are parts of.
std::unique_ptr<Plan> MakeProduct(bool transpose_a, bool transpose_b, int64_t m, int64_t all_rows,
                                  int64_t n, int64_t k, bool accumulate) {
  const auto type = ComputeType();
  const Tag b = transpose_b ? Tag::ba : Tag::ab;
  const bool part = transpose_a && all_rows > m;
  const auto left = [&](memory::data_type of) {
    return part ? memory::desc({m, k}, of, memory::dims{1, all_rows})
                : Desc({m, k}, transpose_a ? Tag::ba : Tag::ab, of);
  };
  const auto c = Desc({m, n}, Tag::ab);
  dnnl::primitive_attr attributes = PlanAttributes();
  if (accumulate) {
    dnnl::post_ops sum;
    sum.append_sum();
    attributes.set_post_ops(sum);
  }
  const dnnl::matmul::desc desc(left(type), Desc({k, n}, b, type), c);
  const dnnl::matmul::primitive_desc pd(desc, attributes, OnednnEngine());
  auto plan =
      std::make_unique<Plan>(dnnl::matmul(pd), pd.scratchpad_desc(),
                             Describe(transpose_a, transpose_b, m, n, k, pd.impl_info_str()));
  plan->Add(DNNL_ARG_SRC, left(memory::data_type::f32), pd.src_desc(), false);
  plan->Add(DNNL_ARG_WEIGHTS, Desc({k, n}, b), pd.weights_desc(), false);
  plan->Add(DNNL_ARG_DST, c, pd.dst_desc(), true);
  return plan;
}

// The product as bands of rows of c, each on one thread: threads take the next band when they have finished one. oneDNN's
// own threads would halve the work, and wait for each other. False where nothing was done.
bool ProductInPieces(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                     const float* a, const float* b, float* c, bool accumulate) {
  const int threads = ThreadCount();
  // The operands of bfloat16 would have to be converted for each band.
  if (threads == 1 || Bfloat16()) return false;
  const int64_t count =
      std::min({int64_t{kPartsAThread} * threads, m / kPieceRows, m * n * k / kSmall});
  if (count < threads) return false;
  const int64_t step = transpose_a ? kColumnStep : 1;
  const auto start = [&](int64_t piece) {
    return piece == count ? m : (m * piece / count + step / 2) / step * step;
  };
  MakeRoomForPlans(static_cast<size_t>(count));
  std::vector<Plan*> plans;
  size_t scratch = 0;
  for (int64_t piece = 0; piece < count; ++piece) {
    const int64_t rows = start(piece + 1) - start(piece);
    plans.push_back(&FindSerialPlan(
        {kPlanProduct, transpose_a, transpose_b, rows, n, k, accumulate, transpose_a ? m : 1},
        [&] { return MakeProduct(transpose_a, transpose_b, rows, m, n, k, accumulate); }));
    scratch = std::max(scratch, (plans.back()->ScratchBytes() + 63) & ~size_t{63});
  }
  uint8_t* arena = ReserveArena(scratch * threads);
  ForEachPiece(count, [&](int64_t piece, int thread) {
    const int64_t row = start(piece);
    void* operands[] = {const_cast<float*>(a + (transpose_a ? row : row * k)),
                        const_cast<float*>(b), c + row * n};
    plans[piece]->Execute(operands, arena + thread * scratch);
  });
  return true;
}

}  // namespace

void MatMul(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
            const float* b, float* c, bool accumulate) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (!accumulate) std::memset(c, 0, static_cast<size_t>(m * n) * sizeof(float));
    return;
  }
  if (m * n * k < kSmall) {
    const OneThread one;
    const auto status =
        dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a,
                   transpose_a ? m : k, b, transpose_b ? k : n, accumulate ? 1.0f : 0.0f, c, n);
    if (status != dnnl_success) throw std::runtime_error("oneDNN refused a matrix product");
    return;
  }
  if (ProductInPieces(transpose_a, transpose_b, m, n, k, a, b, c, accumulate)) return;
  // oneDNN 2.6.3's own matrix product is up to 2.6 times as fast as its sgemm when b is transposed and m is small, as
  // in the gradients of 1x1 convolutions, and never clearly slower (Zen 5, 2 threads).
  FindPlan({kPlanProduct, transpose_a, transpose_b, m, n, k, accumulate}, [&] {
    return MakeProduct(transpose_a, transpose_b, m, m, n, k, accumulate);
  }).Run({a, b, c, nullptr});
}

const Plan& SerialProduct(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                          bool accumulate) {
  return FindSerialPlan(
      {kPlanProduct, transpose_a, transpose_b, m, n, k, accumulate, transpose_a ? m : 1},
      [&] { return MakeProduct(transpose_a, transpose_b, m, m, n, k, accumulate); });
}

void RunProducts(const Plan& plan, int64_t count, const float* a, int64_t a_step, const float* b,
                 int64_t b_step, float* c, int64_t c_step) {
  thread_local std::vector<uint8_t> scratch;
  scratch.resize(std::max(scratch.size(), plan.ScratchBytes()));
  for (int64_t i = 0; i < count; ++i) {
    void* operands[] = {const_cast<float*>(a + i * a_step), const_cast<float*>(b + i * b_step),
                        c + i * c_step};
    plan.Execute(operands, scratch.data());
  }
}

}  // namespace nodule::tensor
