#include "common/stream_store.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/x86.h"

namespace nodule {
namespace {

// Whole cache lines; `to` is a multiple of 64.
#if NODULE_HAS_X86_TARGETS
NODULE_AVX512 void StreamLinesAvx512(char* to, const char* from, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64)
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), _mm512_loadu_si512(from + i));
}

void StreamLines(char* to, const char* from, size_t bytes) {
  if (HasAvx512()) return StreamLinesAvx512(to, from, bytes);
  for (size_t i = 0; i < bytes; i += 16)
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + i),
                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
}
#else
void StreamLines(char* to, const char* from, size_t bytes) { std::memcpy(to, from, bytes); }
#endif

}  // namespace

void StreamCopy(void* to, const void* from, size_t bytes) {
  char* out = static_cast<char*>(to);
  const char* in = static_cast<const char*>(from);
  const size_t past = reinterpret_cast<uintptr_t>(out) % kCacheLine;
  const size_t head = std::min(bytes, past == 0 ? 0 : kCacheLine - past);
  const size_t lines = (bytes - head) / kCacheLine * kCacheLine;
  std::memcpy(out, in, head);
  StreamLines(out + head, in + head, lines);
  std::memcpy(out + head + lines, in + head + lines, bytes - head - lines);
}

void StreamFence() {
#if NODULE_HAS_X86_TARGETS
  _mm_sfence();
#endif
}

}  // namespace nodule
