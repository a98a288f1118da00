#include "frames/write_planes.h"

#include <algorithm>
#include <cstring>

#include "common/host_device.h"
#include "common/stream_store.h"
#include "frames/frames_kernel.h"

namespace nodule {
namespace {

NODULE_CLONES void GrayToFloat(const uint8_t* __restrict gray, float* __restrict out, size_t count,
                               size_t step, float factor, float offset) {
  if (step == 1) {
    for (size_t i = 0; i < count; i++) out[i] = FrameInput(gray[i], factor, offset);
  } else {
    for (size_t i = 0; i < count; i++) out[i * step] = FrameInput(gray[i], factor, offset);
  }
}

// The bytes of [to, to + bytes) up to the last whole cache line.
size_t WholeLines(const uint8_t* to, size_t bytes) {
  return bytes - std::min(bytes, reinterpret_cast<uintptr_t>(to + bytes) % kCacheLine);
}

}  // namespace

PlaneWriter::PlaneWriter(const FramesParams& p, size_t pitch)
    : p_(p), pitch_(pitch), start_(p.hu.slices.size() + 1, 0), place_(p.sources.size()) {
  const size_t element = p.output_float != nullptr ? sizeof(float) : 1;
  stream_ = p.nchw && p.sources.size() * p.x.size * p.y.size * element >= kStreamBytes;
  for (const int32_t s : p.sources) start_[s + 1]++;
  for (size_t s = 0; s + 1 < start_.size(); s++) start_[s + 1] += start_[s];
  std::vector<size_t> next(start_.begin(), start_.end() - 1);
  for (size_t i = 0; i < p.sources.size(); i++) place_[next[p.sources[i]]++] = i;
}

PlaneWriter::Buffer::Buffer(const PlaneWriter& writer)
    : bytes(kBefore + kRowsAtOnce * writer.pitch_),
      values(writer.p_.output_float != nullptr && writer.p_.nchw ? kRowsAtOnce * writer.p_.x.size
                                                                 : 0) {}

void PlaneWriter::Write(size_t slice, size_t first, size_t count, Buffer& buffer) const {
  if (count == 0) return;
  const size_t width = p_.x.size;
  const bool to_float = p_.output_float != nullptr;
  if (to_float && p_.nchw)
    for (size_t v = 0; v < count; v++)
      GrayToFloat(buffer.rows() + v * pitch_, buffer.values.data() + v * width, width, 1, p_.factor,
                  p_.offset);
  for (size_t i = start_[slice]; i < start_[slice + 1]; i++) {
    if (to_float && p_.nchw)
      WriteFloats(place_[i], first, count, buffer.values.data());
    else if (stream_ && pitch_ == width)
      WriteBytes(place_[i], first, count, buffer.rows());
    else
      WriteRows(place_[i], first, count, buffer.rows());
  }
  const uint8_t* end = buffer.rows() + count * pitch_;
  std::memmove(buffer.bytes.data(), end - Buffer::kBefore, Buffer::kBefore);
}

// Rows without gaps, uint8: streamed up to the last whole cache line; its rest comes with the next
// rows.
void PlaneWriter::WriteBytes(size_t place, size_t first, size_t count, const uint8_t* rows) const {
  const size_t width = p_.x.size, height = p_.y.size;
  uint8_t* to = p_.output_uint8 + place * width * height;
  const size_t begin = WholeLines(to, first * width);
  const size_t last = first + count;
  const size_t end = last == height ? last * width : WholeLines(to, last * width);
  StreamCopy(to + begin, rows - (first * width - begin), end - begin);
}

void PlaneWriter::WriteFloats(size_t place, size_t first, size_t count, const float* values) const {
  const size_t width = p_.x.size;
  float* to = p_.output_float + (place * p_.y.size + first) * width;
  const size_t bytes = count * width * sizeof(float);
  if (stream_)
    StreamCopy(to, values, bytes);
  else
    std::memcpy(to, values, bytes);
}

void PlaneWriter::WriteRows(size_t place, size_t first, size_t count, const uint8_t* rows) const {
  const size_t width = p_.x.size, step = p_.nchw ? 1 : p_.channels;
  const size_t row = width * step;
  const size_t at = (p_.nchw ? place * p_.y.size * row
                             : place / p_.channels * p_.y.size * row + place % p_.channels) +
                    first * row;
  for (size_t v = 0; v < count; v++) {
    const uint8_t* from = rows + v * pitch_;
    if (p_.output_float != nullptr) {
      GrayToFloat(from, p_.output_float + at + v * row, width, step, p_.factor, p_.offset);
    } else if (step == 1) {
      std::memcpy(p_.output_uint8 + at + v * row, from, width);
    } else {
      uint8_t* to = p_.output_uint8 + at + v * row;
      for (size_t u = 0; u < width; u++) to[u * step] = from[u];
    }
  }
}

void PlaneWriter::Finish() const {
  if (stream_) StreamFence();
}

}  // namespace nodule
