// Copies between host arrays and the device through pinned memory; for .cu files only.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstddef>

namespace nodule {

// A ring of pinned slots that belongs to a stream: while the device copies one slot, the host fills or empties
// another. The slots come from a pool of bounded size that lives as long as the process; where no pinned memory is to
// be had, copies are made directly. Not for several threads at once.
class Staging {
 public:
  explicit Staging(cudaStream_t stream) : stream_(stream) {}
  ~Staging();  // waits for copies that use the slots; what was not downloaded by Finish is lost
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // The host array is free again on return; the device has the bytes in the stream's order.
  void Upload(void* device, const void* host, size_t bytes);
  // The host array is complete after Finish.
  void Download(void* host, const void* device, size_t bytes);
  // Waits for the stream and completes the downloads.
  void Finish();

 private:
  struct Slot {
    void* memory = nullptr;
    cudaEvent_t done = nullptr;
    void* target = nullptr;  // where the bytes of a download belong
    size_t bytes = 0;
  };
  Slot* NextSlot();  // a free one, or nullptr
  static void Complete(Slot& slot);

  cudaStream_t stream_;
  std::array<Slot, 4> slots_;
  size_t next_ = 0;
};

}  // namespace nodule
