#include "matrix_product.h"

#include <algorithm>
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

// Rows of a part: with fewer, packing b again for each costs more than another thread saves.
constexpr int64_t kPartRows = 40;
// The parts of a transposed a, which are some of its columns, begin where a register would.
constexpr int64_t kColumnStep = 16;

// A matrix product, or a part of one.
struct Product {
  bool transpose_a, transpose_b;
  int64_t m, n, k;
  bool accumulate;
  Pitches pitch;
};

std::unique_ptr<Plan> MakeProduct(const Product& p) {
  const auto type = ComputeType();
  const auto matrix = [](int64_t rows, int64_t columns, bool transposed, int64_t pitch,
                         memory::data_type of) {
    return memory::desc({rows, columns}, of,
                        transposed ? memory::dims{1, pitch} : memory::dims{pitch, 1});
  };
  const auto left = [&](memory::data_type of) {
    return matrix(p.m, p.k, p.transpose_a, p.pitch.a, of);
  };
  const auto right = [&](memory::data_type of) {
    return matrix(p.k, p.n, p.transpose_b, p.pitch.b, of);
  };
  const auto c = matrix(p.m, p.n, false, p.pitch.c, memory::data_type::f32);
  dnnl::primitive_attr attributes = PlanAttributes();
  if (p.accumulate) {
    dnnl::post_ops sum;
    sum.append_sum();
    attributes.set_post_ops(sum);
  }
  const dnnl::matmul::desc desc(left(type), right(type), c);
  const dnnl::matmul::primitive_desc pd(desc, attributes, OnednnEngine());
  auto plan = std::make_unique<Plan>(
      dnnl::matmul(pd), pd.scratchpad_desc(),
      Describe(p.transpose_a, p.transpose_b, p.m, p.n, p.k, pd.impl_info_str()));
  plan->Add(DNNL_ARG_SRC, left(memory::data_type::f32), pd.src_desc(), false);
  plan->Add(DNNL_ARG_WEIGHTS, right(memory::data_type::f32), pd.weights_desc(), false);
  plan->Add(DNNL_ARG_DST, c, pd.dst_desc(), true);
  return plan;
}

PlanKey KeyOf(const Product& p) {
  return {kPlanProduct, p.transpose_a, p.transpose_b, p.m,       p.n,
          p.k,          p.accumulate,  p.pitch.a,     p.pitch.b, p.pitch.c};
}

// Into how many bands of rows and of columns c is cut.
struct Grid {
  int64_t rows, columns;
};

// Each band of rows packs b again, all of it or its columns, and each band of columns a. What is quickest was measured
// (Zen 4, AVX-512 and AVX2, 2 threads, shapes of InceptionV1, ResNet and the LSTM).
Grid GridOf(const Product& p, int64_t threads) {
  const int64_t most = p.m * p.n * p.k / kSmall;
  constexpr int64_t kMany = 1024, kFewColumns = 32;
  if (p.transpose_b && !p.transpose_a && p.k < kMany) {
    constexpr int64_t kBand = 128;
    const int64_t rows = std::clamp(p.m / kBand, int64_t{1}, threads * (p.m >= kMany ? 2 : 1));
    const int64_t columns = std::max<int64_t>(2, (2 * threads + rows - 1) / rows);
    return {rows, std::max<int64_t>(1, std::min({columns, p.n / kFewColumns, most / rows}))};
  }
  if (!p.transpose_a && !p.transpose_b && p.n >= kMany && p.m < kMany)
    return {1, std::min(2 * threads, most)};
  const int64_t parts = p.transpose_b && !p.transpose_a ? 1 : kPartsAThread;
  return {std::min({parts * threads, p.m / kPartRows, most}), 1};
}

// Bounds of `count` parts of [0, size), at multiples of kColumnStep where that is asked for.
int64_t PartStart(int64_t size, int64_t count, int64_t part, bool stepped) {
  const int64_t step = stepped ? kColumnStep : 1;
  return part == count ? size : (size * part / count + step / 2) / step * step;
}

// The product as parts of c, each on one thread: threads take the next part when they have finished one. oneDNN's
// own threads would halve the work, and wait for each other. False where nothing was done.
bool ProductInPieces(const Product& p, const float* a, const float* b, float* c) {
  const int threads = ThreadCount();
  // The operands of bfloat16 would have to be converted for each part.
  if (threads == 1 || Bfloat16()) return false;
  const auto [bands, columns] = GridOf(p, threads);
  const int64_t count = bands * columns;
  if (count < threads) return false;
  struct Piece {
    int64_t row, column;
    Plan* plan;
  };
  std::vector<Piece> pieces;
  MakeRoomForPlans(static_cast<size_t>(count));
  size_t scratch = 0;
  for (int64_t at = 0; at < count; ++at) {
    const int64_t band = at / columns, part = at % columns;
    const int64_t row = PartStart(p.m, bands, band, p.transpose_a);
    const int64_t column = PartStart(p.n, columns, part, true);
    Product one = p;
    one.m = PartStart(p.m, bands, band + 1, p.transpose_a) - row;
    one.n = PartStart(p.n, columns, part + 1, true) - column;
    pieces.push_back({row, column, &FindSerialPlan(KeyOf(one), [&] { return MakeProduct(one); })});
    scratch = std::max(scratch, (pieces.back().plan->ScratchBytes() + 63) & ~size_t{63});
  }
  uint8_t* arena = ReserveArena(scratch * threads);
  ForEachPiece(count, [&](int64_t at, int thread) {
    const auto& [row, column, plan] = pieces[at];
    void* operands[] = {const_cast<float*>(a + (p.transpose_a ? row : row * p.pitch.a)),
                        const_cast<float*>(b + (p.transpose_b ? column * p.pitch.b : column)),
                        c + row * p.pitch.c + column};
    plan->Execute(operands, arena + thread * scratch);
  });
  return true;
}

}  // namespace

Pitches PitchesOf(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k) {
  return {transpose_a ? m : k, transpose_b ? k : n, n};
}

void MatMul(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
            const float* b, float* c, bool accumulate) {
  MatMul(transpose_a, transpose_b, m, n, k, a, b, c, accumulate,
         PitchesOf(transpose_a, transpose_b, m, n, k));
}

void MatMul(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
            const float* b, float* c, bool accumulate, const Pitches& pitch) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (!accumulate)
      for (int64_t row = 0; row < m; ++row) std::fill_n(c + row * pitch.c, n, 0.0f);
    return;
  }
  if (m * n * k < kSmall) {
    const OneThread one;
    const auto status = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f,
                                   a, pitch.a, b, pitch.b, accumulate ? 1.0f : 0.0f, c, pitch.c);
    if (status != dnnl_success) throw std::runtime_error("oneDNN refused a matrix product");
    return;
  }
  const Product whole{transpose_a, transpose_b, m, n, k, accumulate, pitch};
  if (ProductInPieces(whole, a, b, c)) return;
  // oneDNN 2.6.3's own matrix product is up to 2.6 times as fast as its sgemm when b is transposed and m is small, as
  // in the gradients of 1x1 convolutions, and never clearly slower (Zen 5, 2 threads).
  FindPlan(KeyOf(whole), [&] { return MakeProduct(whole); }).Run({a, b, c, nullptr});
}

const Plan& SerialProduct(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                          bool accumulate) {
  const Product whole{
      transpose_a, transpose_b, m, n, k, accumulate, PitchesOf(transpose_a, transpose_b, m, n, k)};
  return FindSerialPlan(KeyOf(whole), [&] { return MakeProduct(whole); });
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
