// Rows of a mask as bits, 64 voxels a word; bits past the row's end are 0.
#pragma once

#include <cstring>

#include "common/host_device.h"

namespace nodule {

inline size_t WordsOf(size_t voxels) { return (voxels + 63) / 64; }

// 64 bytes that are 0 or 1 -> bits, the first byte to the lowest.
NODULE_HD uint64_t PackWord(const uint8_t* bytes) {
  uint64_t word = 0;
  for (int part = 0; part < 8; part++) {
    uint64_t eight = 0;
    for (int i = 7; i >= 0; i--) eight = eight << 8 | bytes[part * 8 + i];
    // The product gathers bit 0 of each byte in the highest byte.
    word |= (eight * 0x0102040810204080U >> 56) << (part * 8);
  }
  return word;
}

// in[i] -> bit, by `inside`.
template <typename T, typename Inside>
NODULE_HD void PackRow(const T* in, size_t voxels, uint64_t* words, const Inside& inside) {
  uint8_t bytes[64];
  size_t done = 0;
  for (; done + 64 <= voxels; done += 64) {
    for (size_t i = 0; i < 64; i++) bytes[i] = inside(in[done + i]) ? 1 : 0;
    words[done / 64] = PackWord(bytes);
  }
  if (done == voxels) return;
  std::memset(bytes, 0, sizeof(bytes));
  for (size_t i = 0; i < voxels - done; i++) bytes[i] = inside(in[done + i]) ? 1 : 0;
  words[done / 64] = PackWord(bytes);
}

// Bits -> bytes 0 or 1; `flip` is 0, or 1 to swap them.
NODULE_HD void UnpackRow(const uint64_t* words, size_t voxels, uint8_t flip, uint8_t* out) {
  for (size_t i = 0; i < voxels; i++)
    out[i] = static_cast<uint8_t>((words[i / 64] >> (i % 64) & 1) ^ flip);
}

// words |= words shifted by `shift` voxels to both sides, within `voxels`. `copy` has room for the
// row.
NODULE_HD void SpreadRow(uint64_t* words, size_t voxels, size_t shift, uint64_t* copy) {
  const size_t count = (voxels + 63) / 64, jump = shift / 64, bits = shift % 64;
  std::memcpy(copy, words, count * sizeof(uint64_t));
  for (size_t i = 0; i < count; i++) {
    uint64_t word = 0;
    if (i >= jump) {
      word |= copy[i - jump] << bits;
      if (bits > 0 && i > jump) word |= copy[i - jump - 1] >> (64 - bits);
    }
    if (i + jump < count) {
      word |= copy[i + jump] >> bits;
      if (bits > 0 && i + jump + 1 < count) word |= copy[i + jump + 1] << (64 - bits);
    }
    words[i] |= word;
  }
  if (voxels % 64 != 0) words[count - 1] &= (uint64_t{1} << voxels % 64) - 1;
}

}  // namespace nodule
