// Owners of CUDA resources (RAII); for .cu files only.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "common/cuda_check.h"
#include "common/staging.h"

namespace nodule {

class Stream {
 public:
  Stream() : staging_(handle_.stream) {}
  operator cudaStream_t() const { return handle_.stream; }
  Staging& staging() { return staging_; }
  // Until all is done and downloaded.
  void Wait() { staging_.Finish(); }

 private:
  struct Handle {
    cudaStream_t stream = nullptr;
    Handle() { NODULE_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking)); }
    ~Handle() { cudaStreamDestroy(stream); }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
  };

  Handle handle_;  // goes last: the staging waits for copies on it
  Staging staging_;
};

// Device memory that belongs to a stream's order. Must not outlive the stream.
template <typename T>
class DeviceBuffer {
 public:
  DeviceBuffer(size_t count, Stream& stream) : stream_(stream) {
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

  // The host array is free again on return.
  void CopyFrom(const T* host, size_t count, size_t offset = 0) {
    stream_.staging().Upload(data_ + offset, host, count * sizeof(T));
  }
  // The host array is complete after the stream's Wait.
  void CopyTo(T* host, size_t count, size_t offset = 0) const {
    stream_.staging().Download(host, data_ + offset, count * sizeof(T));
  }
  void Clear(size_t count) {
    if (count > 0) NODULE_CUDA_CHECK(cudaMemsetAsync(data_, 0, count * sizeof(T), stream_));
  }

 private:
  T* data_ = nullptr;
  Stream& stream_;
};

inline unsigned BlocksFor(size_t items, unsigned block) {
  return static_cast<unsigned>((items + block - 1) / block);
}

}  // namespace nodule
