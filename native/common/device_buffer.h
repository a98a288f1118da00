// Owners of CUDA resources (RAII); for .cu files only.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <utility>

#include "common/cuda_check.h"

namespace nodule {

class Stream {
 public:
  Stream() { NODULE_CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }
  void Wait() const { NODULE_CUDA_CHECK(cudaStreamSynchronize(stream_)); }

 private:
  cudaStream_t stream_ = nullptr;
};

// Device memory that belongs to a stream's order. Must not outlive the stream.
template <typename T>
class DeviceBuffer {
 public:
  DeviceBuffer(size_t count, cudaStream_t stream) : stream_(stream) {
    if (count > 0)
      NODULE_CUDA_CHECK(
          cudaMallocAsync(reinterpret_cast<void**>(&data_), count * sizeof(T), stream));
  }
  ~DeviceBuffer() {
    if (data_ != nullptr) cudaFreeAsync(data_, stream_);
  }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  T* data() const { return data_; }

  void CopyFrom(const T* host, size_t count, size_t offset = 0) {
    if (count > 0)
      NODULE_CUDA_CHECK(cudaMemcpyAsync(data_ + offset, host, count * sizeof(T),
                                        cudaMemcpyHostToDevice, stream_));
  }
  void CopyTo(T* host, size_t count, size_t offset = 0) const {
    if (count > 0)
      NODULE_CUDA_CHECK(cudaMemcpyAsync(host, data_ + offset, count * sizeof(T),
                                        cudaMemcpyDeviceToHost, stream_));
  }
  void Clear(size_t count) {
    if (count > 0) NODULE_CUDA_CHECK(cudaMemsetAsync(data_, 0, count * sizeof(T), stream_));
  }

 private:
  T* data_ = nullptr;
  cudaStream_t stream_;
};

inline unsigned BlocksFor(size_t items, unsigned block) {
  return static_cast<unsigned>((items + block - 1) / block);
}

}  // namespace nodule
