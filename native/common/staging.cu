#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

#include "common/cuda_check.h"
#include "common/staging.h"

namespace nodule {
namespace {

constexpr size_t kSlotBytes = size_t{4} << 20;
constexpr size_t kMostSlots = 16;
// The driver copies such arrays at once into memory of its own.
constexpr size_t kSmallUpload = size_t{64} << 10;

class Pool {
 public:
  // nullptr when all are in use, or when there is no pinned memory.
  void* Take() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!free_.empty()) {
      void* memory = free_.back();
      free_.pop_back();
      return memory;
    }
    void* memory = nullptr;
    if (made_ == kMostSlots) return nullptr;
    if (cudaHostAlloc(&memory, kSlotBytes, cudaHostAllocPortable) != cudaSuccess) {
      cudaGetLastError();
      return nullptr;
    }
    made_++;
    return memory;
  }

  void GiveBack(void* memory) {
    std::lock_guard<std::mutex> lock(mutex_);
    free_.push_back(memory);
  }

 private:
  std::mutex mutex_;
  std::vector<void*> free_;
  size_t made_ = 0;
};

// Never destroyed: the driver may be gone by then.
Pool& ThePool() {
  static Pool* pool = new Pool;
  return *pool;
}

}  // namespace

Staging::~Staging() {
  for (Slot& slot : slots_) {
    if (slot.done != nullptr) {
      cudaEventSynchronize(slot.done);
      cudaEventDestroy(slot.done);
    }
    if (slot.memory != nullptr) ThePool().GiveBack(slot.memory);
  }
}

void Staging::Complete(Slot& slot) {
  if (slot.done == nullptr) return;
  NODULE_CUDA_CHECK(cudaEventSynchronize(slot.done));
  if (slot.target != nullptr) std::memcpy(slot.target, slot.memory, slot.bytes);
  slot.target = nullptr;
}

Staging::Slot* Staging::NextSlot() {
  Slot& slot = slots_[next_];
  next_ = (next_ + 1) % slots_.size();
  Complete(slot);
  if (slot.memory == nullptr) slot.memory = ThePool().Take();
  if (slot.memory == nullptr) return nullptr;
  if (slot.done == nullptr)
    NODULE_CUDA_CHECK(cudaEventCreateWithFlags(&slot.done, cudaEventDisableTiming));
  return &slot;
}

void Staging::Upload(void* device, const void* host, size_t bytes) {
  char* to = static_cast<char*>(device);
  const char* from = static_cast<const char*>(host);
  while (bytes > 0) {
    Slot* slot = bytes > kSmallUpload ? NextSlot() : nullptr;
    if (slot == nullptr) {
      NODULE_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_));
      return;
    }
    const size_t piece = std::min(bytes, kSlotBytes);
    std::memcpy(slot->memory, from, piece);
    NODULE_CUDA_CHECK(cudaMemcpyAsync(to, slot->memory, piece, cudaMemcpyHostToDevice, stream_));
    NODULE_CUDA_CHECK(cudaEventRecord(slot->done, stream_));
    to += piece;
    from += piece;
    bytes -= piece;
  }
}

void Staging::Download(void* host, const void* device, size_t bytes) {
  char* to = static_cast<char*>(host);
  const char* from = static_cast<const char*>(device);
  while (bytes > 0) {
    Slot* slot = NextSlot();
    if (slot == nullptr) {
      NODULE_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_));
      return;
    }
    const size_t piece = std::min(bytes, kSlotBytes);
    NODULE_CUDA_CHECK(cudaMemcpyAsync(slot->memory, from, piece, cudaMemcpyDeviceToHost, stream_));
    NODULE_CUDA_CHECK(cudaEventRecord(slot->done, stream_));
    slot->target = to;
    slot->bytes = piece;
    to += piece;
    from += piece;
    bytes -= piece;
  }
}

void Staging::Finish() {
  for (Slot& slot : slots_) Complete(slot);
  NODULE_CUDA_CHECK(cudaStreamSynchronize(stream_));
}

}  // namespace nodule
