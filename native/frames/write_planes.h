// The last step of frames: rows of gray levels -> every place of the output that shows their slice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "frames/frames.h"

namespace nodule {

// Rows of a plane that are written together.
constexpr size_t kRowsAtOnce = 8;

class PlaneWriter {
 public:
  // Rows are `pitch` bytes apart.
  PlaneWriter(const FramesParams& params, size_t pitch);

  bool Shows(size_t slice) const { return start_[slice] < start_[slice + 1]; }

  // What a thread needs: the rows, and before them the end of the rows that were written last.
  struct Buffer {
    explicit Buffer(const PlaneWriter& writer);
    uint8_t* rows() { return bytes.data() + kBefore; }

    static constexpr size_t kBefore = 64;
    std::vector<uint8_t> bytes;
    std::vector<float> values;
  };

  // Writes `count` rows of the slice from row `first` on. Rows of a slice come in order.
  void Write(size_t slice, size_t first, size_t count, Buffer& buffer) const;

  // After the last row of a thread.
  void Finish() const;

 private:
  void WriteBytes(size_t place, size_t first, size_t count, const uint8_t* rows) const;
  void WriteRows(size_t place, size_t first, size_t count, const uint8_t* rows) const;
  void WriteFloats(size_t place, size_t first, size_t count, const float* values) const;

  const FramesParams& p_;
  size_t pitch_;
  bool stream_;
  std::vector<size_t> start_;  // [slices + 1]: where in place_ a slice's places begin
  std::vector<size_t> place_;  // [frames * channels]: places [frames, channels], slice by slice
};

}  // namespace nodule
