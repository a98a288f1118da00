// Writes that bypass the caches: for outputs far larger than the cache a normal store first reads
// the line that it overwrites, which costs a third of the bandwidth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/host_device.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace nodule {

// Outputs from this size on are streamed.
constexpr size_t kStreamBytes = size_t{16} << 20;

// Copies bytes from a small buffer in the cache to `to`. End a run of them with StreamFence.
NODULE_HD void StreamCopy(void* to, const void* from, size_t bytes) {
#if defined(__SSE2__)
  char* out = static_cast<char*>(to);
  const char* in = static_cast<const char*>(from);
  const size_t misaligned = reinterpret_cast<uintptr_t>(out) % 16;
  const size_t head = misaligned == 0 ? 0 : 16 - misaligned;
  if (bytes >= 32) {
    std::memcpy(out, in, head);
    size_t i = head;
    for (; i + 16 <= bytes; i += 16)
      _mm_stream_si128(reinterpret_cast<__m128i*>(out + i),
                       _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i)));
    std::memcpy(out + i, in + i, bytes - i);
    return;
  }
#endif
  std::memcpy(to, from, bytes);
}

inline void StreamFence() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace nodule
