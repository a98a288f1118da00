#include "convolution_pieces.h"

#include <algorithm>

#include "loops.h"
#include "threads.h"

namespace nodule::tensor {
namespace {

// Multiplications of a piece below which its overhead (about 10 microseconds) shows.
constexpr int64_t kPieceWork = 2 << 20;
// Pixels of a piece below which the sum of the filter gradients costs more than another thread saves.
constexpr int64_t kFilterPixels = 40;
// All partial filter gradients together.
constexpr int64_t kFilterFloats = 16 << 20;

int64_t CeilDivide(int64_t a, int64_t b) { return a > 0 ? (a + b - 1) / b : -(-a / b); }

// The band of output rows first .. last - 1 with the image rows that it reads; false where that is no convolution.
bool OutputBand(const ConvShape& s, int64_t first, int64_t last, ConvPiece& piece) {
  const int64_t reach = (s.filter_height - 1) * s.dilation_height + 1;
  const int64_t begin = first * s.stride_height - s.pad_top;
  const int64_t end = (last - 1) * s.stride_height - s.pad_top + reach;
  const int64_t from = std::max<int64_t>(0, begin), to = std::min(s.in_height, end);
  if (to <= from) return false;
  piece.shape.in_height = to - from;
  piece.shape.out_height = last - first;
  piece.shape.pad_top = from - begin;
  piece.shape.pad_bottom = end - to;
  piece.image += from * s.in_width * s.in_channels;
  piece.output += first * s.out_width * s.out_channels;
  return true;
}

// The band of image rows first .. last - 1 with the output rows whose windows touch it.
bool ImageBand(const ConvShape& s, int64_t first, int64_t last, ConvPiece& piece) {
  const int64_t reach = (s.filter_height - 1) * s.dilation_height + 1;
  const int64_t from =
      std::max<int64_t>(0, CeilDivide(first + s.pad_top - reach + 1, s.stride_height));
  const int64_t to = std::min(s.out_height, (last - 1 + s.pad_top) / s.stride_height + 1);
  const int64_t before = first - (from * s.stride_height - s.pad_top);
  if (to <= from || before < 0) return false;
  piece.shape.in_height = last - first;
  piece.shape.out_height = to - from;
  piece.shape.pad_top = before;
  piece.shape.pad_bottom =
      std::max<int64_t>(0, (to - 1) * s.stride_height - s.pad_top + reach - last);
  piece.image += first * s.in_width * s.in_channels;
  piece.output += from * s.out_width * s.out_channels;
  return true;
}

size_t Aligned(size_t bytes) { return (bytes + 63) & ~size_t{63}; }

// Where a thread keeps its scratch memory and the operands that it reorders.
struct ThreadArea {
  size_t scratch = 0, operand[2] = {0, 0};
  size_t Bytes() const { return Aligned(scratch) + Aligned(operand[0]) + Aligned(operand[1]); }
};

struct Job {
  const std::array<ConvRole, 3>& roles;
  const std::array<const float*, 3>& operands;
  std::vector<ConvPiece> pieces;
  std::vector<Plan*> plans;
  int filter = 0;            // which operand
  bool sums_filter = false;  // the filter is the result

  // Whether all pieces want the filter alike, in fast code.
  bool Fits() const {
    for (const Plan* plan : plans)
      if (plan->IsSlow() || plan->InnerDesc(filter) != plans[0]->InnerDesc(filter)) return false;
    return true;
  }

  // One piece on the calling thread. `part` is its filter, in the primitive's layout.
  void Run(size_t index, uint8_t* area, const ThreadArea& layout, uint8_t* part) const {
    const ConvPiece& piece = pieces[index];
    const Plan& plan = *plans[index];
    std::array<void*, 3> inner{};
    uint8_t* free = area + Aligned(layout.scratch);
    float* user[3] = {};
    int other = 0;
    for (int i = 0; i < 3; ++i) {
      if (i == filter) {
        inner[i] = part;
        continue;
      }
      const int64_t offset = roles[i] == ConvRole::kImage ? piece.image : piece.output;
      user[i] = const_cast<float*>(operands[i]) + offset;
      inner[i] = user[i];
      if (plan.IsReordered(i)) {
        inner[i] = free;
        if (i < 2) plan.Reorder(i, user[i], inner[i]);
      }
      free += Aligned(layout.operand[other++]);
    }
    plan.Execute(inner.data(), area);
    if (!sums_filter && plan.IsReordered(2)) plan.Reorder(2, user[2], inner[2]);
  }
};

}  // namespace

PlanKey ConvKey(PlanKind kind, const ConvShape& s) {
  return {kind,
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
          s.pad_right};
}

std::vector<ConvPiece> CutConvolution(const ConvShape& s, ConvCut cut, int64_t wanted) {
  const std::vector<ConvPiece> whole{{s, 0, 0}};
  if (wanted <= 1) return whole;
  const int64_t image = s.in_height * s.in_width * s.in_channels;
  const int64_t output = s.out_height * s.out_width * s.out_channels;
  std::vector<ConvPiece> pieces;
  const int64_t groups = std::min(s.batch, wanted);
  const int64_t rows = cut == ConvCut::kOutputRows ? s.out_height : s.in_height;
  // Images first; bands only where there are fewer images than pieces.
  const int64_t bands = groups < s.batch ? 1 : std::min(rows, wanted / groups);
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t first = s.batch * g / groups, last = s.batch * (g + 1) / groups;
    for (int64_t b = 0; b < bands; ++b) {
      ConvPiece piece{s, first * image, first * output};
      piece.shape.batch = last - first;
      const int64_t from = rows * b / bands, to = rows * (b + 1) / bands;
      const bool good = bands == 1 || (cut == ConvCut::kOutputRows ? OutputBand(s, from, to, piece)
                                                                   : ImageBand(s, from, to, piece));
      if (!good) return whole;
      pieces.push_back(piece);
    }
  }
  return pieces;
}

bool RunInPieces(PlanKind kind, const ConvShape& s, const std::array<ConvRole, 3>& roles,
                 const std::array<const float*, 3>& operands,
                 const std::function<std::unique_ptr<Plan>(const ConvShape&)>& make) {
  const int threads = ThreadCount();
  if (threads == 1) return false;
  Job job{roles, operands, {}, {}};
  job.filter =
      static_cast<int>(std::find(roles.begin(), roles.end(), ConvRole::kFilter) - roles.begin());
  job.sums_filter = job.filter == 2;
  const int64_t pixels = Pixels(s);
  const int64_t work = pixels * s.out_channels * s.in_channels * s.filter_height * s.filter_width;
  if (work <= 0 || s.stride_height < 1) return false;
  const int64_t filter_size = work / pixels;
  // Enough that a thread which lost its core leaves its share to others; partial filters cost memory.
  const int64_t wanted =
      job.sums_filter
          ? std::min({int64_t{2} * threads, pixels / kFilterPixels, kFilterFloats / filter_size})
          : std::min(int64_t{4} * threads, work / kPieceWork);
  const ConvCut cut = roles[2] == ConvRole::kImage ? ConvCut::kImageRows : ConvCut::kOutputRows;
  job.pieces = CutConvolution(s, cut, wanted);
  if (static_cast<int>(job.pieces.size()) < threads) return false;
  MakeRoomForPlans(job.pieces.size());
  ThreadArea layout;
  for (const ConvPiece& piece : job.pieces) {
    Plan& plan = FindSerialPlan(ConvKey(kind, piece.shape), [&] { return make(piece.shape); });
    job.plans.push_back(&plan);
    layout.scratch = std::max(layout.scratch, plan.ScratchBytes());
    int other = 0;
    for (int i = 0; i < 3; ++i) {
      if (i == job.filter) continue;
      size_t& bytes = layout.operand[other++];
      if (plan.IsReordered(i)) bytes = std::max(bytes, plan.InnerDesc(i).get_size());
    }
  }
  if (!job.Fits()) return false;

  const Plan& first = *job.plans[0];
  const size_t count = job.pieces.size();
  const bool reordered = first.IsReordered(job.filter);
  const size_t filter_bytes = Aligned(first.InnerDesc(job.filter).get_size());
  const size_t filters = job.sums_filter ? count : reordered ? 1 : 0;
  uint8_t* arena = ReserveArena(filters * filter_bytes + threads * layout.Bytes());
  uint8_t* areas = arena + filters * filter_bytes;
  auto* filter = reinterpret_cast<uint8_t*>(const_cast<float*>(operands[job.filter]));
  if (!job.sums_filter && reordered) {
    first.Reorder(job.filter, filter, arena);
    filter = arena;
  }
  ForEachPiece(static_cast<int64_t>(count), [&](int64_t index, int thread) {
    job.Run(index, areas + thread * layout.Bytes(), layout,
            job.sums_filter ? arena + index * filter_bytes : filter);
  });
  if (!job.sums_filter) return true;

  const auto add = ActiveLoops().binary[static_cast<int>(BinaryOp::kAdd)][0];
  const auto part = [&](size_t index) {
    return reinterpret_cast<float*>(arena + index * filter_bytes);
  };
  float* sum = reordered ? part(0) : reinterpret_cast<float*>(filter);
  const auto size = static_cast<int64_t>(first.InnerDesc(2).get_size() / sizeof(float));
  ParallelFor(size, kGrain, [&](int64_t begin, int64_t end) {
    add(part(0) + begin, part(1) + begin, sum + begin, end - begin);
    for (size_t i = 2; i < count; ++i) add(sum + begin, part(i) + begin, sum + begin, end - begin);
  });
  if (reordered) first.Reorder(2, filter, sum);
  return true;
}

}  // namespace nodule::tensor
