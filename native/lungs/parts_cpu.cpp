#include <algorithm>

#include "lungs/bits.h"
#include "lungs/lungs.h"

namespace nodule {
namespace {

NODULE_CLONES void PackOnes(const uint8_t* in, size_t voxels, uint64_t* words) {
  PackRow(in, voxels, words, [](uint8_t value) { return value == 1; });
}
NODULE_CLONES void PackBelow(const uint8_t* in, size_t voxels, int below, uint64_t* words) {
  PackRow(in, voxels, words, [below](uint8_t value) { return value < below; });
}
NODULE_CLONES void PackOnes(const int16_t* in, size_t voxels, uint64_t* words) {
  PackRow(in, voxels, words, [](int16_t value) { return value == 1; });
}
NODULE_CLONES void PackBelow(const int16_t* in, size_t voxels, int below, uint64_t* words) {
  const int16_t limit = static_cast<int16_t>(below);
  PackRow(in, voxels, words, [limit](int16_t value) { return value < limit; });
}

class Finder {
 public:
  explicit Finder(const PartsParams& params) : p_(params) {}

  Parts Find() {
    if (p_.shape.Voxels() > 0) {  // an empty array may have no data
      if (p_.mask != nullptr)
        FindRuns(p_.mask);
      else
        FindRuns(p_.image);
      JoinRows();
    }
    Label();
    return std::move(parts_);
  }

 private:
  template <typename T>
  void FindRuns(const T* data) {
    const size_t rows = p_.shape.z * p_.shape.y, nx = p_.shape.x, count = WordsOf(nx);
    std::vector<uint64_t> words(count);
    first_of_row_.reserve(rows + 1);
    for (size_t row = 0; row < rows; row++) {
      first_of_row_.push_back(static_cast<int32_t>(parts_.starts.size()));
      if (p_.has_below)
        PackBelow(data + row * nx, nx, p_.below, words.data());
      else
        PackOnes(data + row * nx, nx, words.data());
      const int32_t base = static_cast<int32_t>(row * nx);
      uint64_t before = 0;  // the last bit of the word before
      for (size_t n = 0; n < count; n++) {
        // Where a bit differs from the one before it, a run starts or has ended.
        uint64_t edges = words[n] ^ (words[n] << 1 | before);
        before = words[n] >> 63;
        for (; edges != 0; edges &= edges - 1) {
          const int32_t at = base + static_cast<int32_t>(n) * 64 + __builtin_ctzll(edges);
          auto& list = parts_.starts.size() == parts_.ends.size() ? parts_.starts : parts_.ends;
          list.push_back(at);
        }
      }
      if (parts_.starts.size() > parts_.ends.size())
        parts_.ends.push_back(base + static_cast<int32_t>(nx));
    }
    first_of_row_.push_back(static_cast<int32_t>(parts_.starts.size()));
  }

  int32_t Root(int32_t run) {
    while (parent_[run] != run) run = parent_[run] = parent_[parent_[run]];
    return run;
  }

  // Joins the overlapping runs of a row and of an earlier one that lies `offset` voxels before it.
  void Join(size_t row, size_t other, int32_t offset) {
    const auto& [starts, ends, labels, sizes] = parts_;
    int32_t a = first_of_row_[row], b = first_of_row_[other];
    const int32_t last_a = first_of_row_[row + 1], last_b = first_of_row_[other + 1];
    while (a < last_a && b < last_b) {
      if (ends[b] + offset <= starts[a]) {
        b++;
      } else if (ends[a] <= starts[b] + offset) {
        a++;
      } else {
        const int32_t root_a = Root(a), root_b = Root(b);
        parent_[std::max(root_a, root_b)] = std::min(root_a, root_b);
        if (ends[a] < ends[b] + offset)
          a++;
        else
          b++;
      }
    }
  }

  void JoinRows() {
    parent_.resize(parts_.starts.size());
    for (size_t n = 0; n < parent_.size(); n++) parent_[n] = static_cast<int32_t>(n);
    const size_t ny = p_.shape.y, nx = p_.shape.x;
    for (size_t row = 0; row < p_.shape.z * ny; row++) {
      if (row % ny > 0) Join(row, row - 1, static_cast<int32_t>(nx));
      if (row >= ny && !p_.planar) Join(row, row - ny, static_cast<int32_t>(ny * nx));
    }
  }

  void Label() {
    parts_.labels.resize(parent_.size());
    parts_.sizes.push_back(0);
    for (size_t n = 0; n < parent_.size(); n++) {
      const int32_t top = Root(static_cast<int32_t>(n));
      // The root is the first run of its part.
      if (top == static_cast<int32_t>(n)) {
        parts_.labels[n] = static_cast<int32_t>(parts_.sizes.size());
        parts_.sizes.push_back(0);
      } else {
        parts_.labels[n] = parts_.labels[top];
      }
      parts_.sizes[parts_.labels[n]] += parts_.ends[n] - parts_.starts[n];
    }
  }

  const PartsParams& p_;
  Parts parts_;
  std::vector<int32_t> first_of_row_;  // and one past the last row
  std::vector<int32_t> parent_;
};

}  // namespace

Parts FindParts(const PartsParams& params) { return Finder(params).Find(); }

}  // namespace nodule
