#include <algorithm>
#include <atomic>
#include <cstring>

#include "common/parallel.h"
#include "lungs/lungs.h"
#include "lungs/lungs_kernel.h"

namespace nodule {
namespace {

// How the voxels of a row are judged, each 0 or 1.
struct RowRules {
  std::vector<uint8_t> whole, surface, left;
  explicit RowRules(size_t voxels) : whole(voxels), surface(voxels), left(voxels) {}
};

struct RowCount {
  uint32_t all, left;
};

NODULE_CLONES RowCount FillRow(const int16_t* __restrict data, const uint8_t* __restrict whole,
                               const uint8_t* __restrict surface, const uint8_t* __restrict left,
                               int16_t surface_hu, size_t count, uint8_t* __restrict mask) {
  uint32_t all = 0, of_left = 0;
  for (size_t i = 0; i < count; i++) {
    const uint8_t dark = data[i] < surface_hu ? 1 : 0;
    const uint8_t value = whole[i] | (surface[i] & dark);
    mask[i] = value;
    all += value;
    of_left += value & left[i];
  }
  return {all, of_left};
}

NODULE_CLONES void FillSides(const uint8_t* __restrict mask, const uint8_t* __restrict left,
                             size_t count, uint8_t* __restrict sides) {
  for (size_t i = 0; i < count; i++) sides[i] = static_cast<uint8_t>(mask[i] * (1 + left[i]));
}

struct Span {
  size_t low = 0, high = 0;
};

class Refiner {
 public:
  explicit Refiner(const RefineParams& params)
      : p_(params),
        small_(Blocks(p_.shape, p_.factors)),
        kinds_(small_.Voxels()),
        spans_(small_.z * small_.y) {}

  void Run() {
    std::atomic<uint64_t> right{0}, left{0};
    ParallelFor(small_.z, 1, [&](size_t begin, size_t end) {
      RowRules rules(p_.shape.x);
      uint64_t all = 0, of_left = 0;
      for (size_t row = begin * small_.y; row < end * small_.y; row++) {
        FindKinds(row);
        if (spans_[row].high > 0) FillBlocks(row, rules, &all, &of_left);
      }
      right += all - of_left;
      left += of_left;
    });
    p_.counts[0] = static_cast<double>(right);
    p_.counts[1] = static_cast<double>(left);
    RemoveTrachea();
    FindBox();
  }

 private:
  // The kinds of a row of blocks, and the voxels along x that have one.
  void FindKinds(size_t row) {
    const size_t nx = small_.x, plane = small_.y * nx, z = row / small_.y, y = row % small_.y;
    uint8_t* kinds = kinds_.data() + row * nx;
    for (size_t side = 0; side < 2; side++) {
      if (p_.closed[side] == nullptr) continue;
      const uint8_t* closed = p_.closed[side] + row * nx;
      const uint8_t* air = p_.air[side] + row * nx;
      Faces faces = {false, false, y > 0, y + 1 < small_.y, z > 0, z + 1 < small_.z};
      const uint8_t code = static_cast<uint8_t>(side << 2);
      for (size_t x = 0; x < nx; x++) {
        faces.x_low = x > 0;
        faces.x_high = x + 1 < nx;
        if (closed[x] == 1)
          kinds[x] = code | (IsWhole(closed + x, air + x, nx, plane, faces) ? kWhole : kSurface);
        else if (kinds[x] == 0 && TouchesAir(air + x, nx, plane, faces))
          kinds[x] = code | kSurface;
      }
    }
    Span& span = spans_[row];
    for (size_t x = 0; x < nx; x++) {
      if (kinds[x] == 0) continue;
      if (span.high == 0) span.low = x * p_.factors.x;
      span.high = std::min(p_.shape.x, (x + 1) * p_.factors.x);
    }
  }

  void FillBlocks(size_t row, RowRules& rules, uint64_t* all, uint64_t* of_left) {
    const Span span = spans_[row];
    const uint8_t* kinds = kinds_.data() + row * small_.x;
    const size_t width = span.high - span.low;
    for (size_t i = span.low, x = span.low / p_.factors.x; i < span.high; x++) {
      const uint8_t kind = kinds[x] & 3, left = kinds[x] >> 2;
      for (const size_t end = std::min(span.high, i + p_.factors.x); i < end; i++) {
        rules.whole[i] = kind == kWhole ? 1 : 0;
        rules.surface[i] = kind == kSurface ? 1 : 0;
        rules.left[i] = left;
      }
    }
    const size_t k1 = row / small_.y * p_.factors.z, k2 = std::min(p_.shape.z, k1 + p_.factors.z);
    const size_t j1 = row % small_.y * p_.factors.y, j2 = std::min(p_.shape.y, j1 + p_.factors.y);
    for (size_t k = k1; k < k2; k++)
      for (size_t j = j1; j < j2; j++) {
        const size_t at = (k * p_.shape.y + j) * p_.shape.x + span.low;
        const RowCount count = FillRow(
            p_.data + at, rules.whole.data() + span.low, rules.surface.data() + span.low,
            rules.left.data() + span.low, static_cast<int16_t>(p_.surface_hu), width, p_.mask + at);
        *all += count.all;
        *of_left += count.left;
        if (p_.sides != nullptr)
          FillSides(p_.mask + at, rules.left.data() + span.low, width, p_.sides + at);
      }
  }

  void RemoveTrachea() {
    const auto [nz, ny, nx] = p_.shape;
    for (const int32_t index : p_.trachea) {
      const size_t at = static_cast<size_t>(index);
      if (p_.mask[at] == 0) continue;
      p_.mask[at] = 0;
      if (p_.sides != nullptr) p_.sides[at] = 0;
      const size_t z = at / (ny * nx) / p_.factors.z, y = at / nx % ny / p_.factors.y,
                   x = at % nx / p_.factors.x;
      p_.counts[kinds_[(z * small_.y + y) * small_.x + x] >> 2]--;
    }
  }

  void FindBox() {
    const auto [nz, ny, nx] = p_.shape;
    size_t box[6] = {nz, 0, ny, 0, nx, 0};
    for (size_t z = 0; z < nz; z++)
      for (size_t y = 0; y < ny; y++) {
        const Span span = spans_[z / p_.factors.z * small_.y + y / p_.factors.y];
        if (span.high == 0) continue;
        const uint8_t* row = p_.mask + (z * ny + y) * nx;
        const void* first = std::memchr(row + span.low, 1, span.high - span.low);
        if (first == nullptr) continue;
        size_t last = span.high;
        while (last > span.low && row[last - 1] == 0) last--;
        box[0] = std::min(box[0], z);
        box[1] = z + 1;
        box[2] = std::min(box[2], y);
        box[3] = std::max(box[3], y + 1);
        box[4] = std::min(box[4], static_cast<size_t>(static_cast<const uint8_t*>(first) - row));
        box[5] = std::max(box[5], last);
      }
    for (int n = 0; n < 6; n++) p_.box[n] = box[1] == 0 ? 0 : static_cast<int32_t>(box[n]);
  }

  const RefineParams& p_;
  const Shape small_;
  std::vector<uint8_t> kinds_;  // side * 4 + kind
  std::vector<Span> spans_;     // of each row of blocks; high 0: nothing in it
};

}  // namespace

void Refine(const RefineParams& params) { Refiner(params).Run(); }

}  // namespace nodule
