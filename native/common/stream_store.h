// Writes that bypass the caches: for outputs far larger than the cache a normal store first reads
// the line that it overwrites, which costs a third of the bandwidth.
#pragma once

#include <cstddef>

namespace nodule {

constexpr size_t kCacheLine = 64;

// Outputs from this size on are streamed.
constexpr size_t kStreamBytes = size_t{16} << 20;

// Copies bytes from a small buffer in the cache to `to`; the whole cache lines of `to` bypass the
// caches. End a run of them with StreamFence.
void StreamCopy(void* to, const void* from, size_t bytes);

void StreamFence();

}  // namespace nodule
