// CUDA's runtime on the CPU, as far as our .cu files use it: tests of the kernels' arithmetic, indices and launches on
// machines without a GPU. Says nothing about races between blocks, nor about speed. scripts/emulate-cuda.mjs
// turns each `kernel<<<...>>>(...)` into a call of Launch.
#pragma once

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __forceinline__ inline
#define __syncthreads() emulation::barrier.Wait()

#define CUDART_VERSION 13000

enum cudaError_t { cudaSuccess, cudaErrorNoDevice, cudaErrorInsufficientDriver, cudaErrorOther };
enum {
  cudaStreamNonBlocking,
  cudaHostAllocPortable,
  cudaEventDisableTiming,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost
};
using cudaStream_t = void*;
using cudaEvent_t = void*;

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
inline thread_local dim3 blockIdx, threadIdx;

struct cudaDeviceProp {
  char name[16];
  int major, minor;
  size_t totalGlobalMem;
};
struct cudaFuncAttributes {};

inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return "error of the emulation"; }
inline cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
inline cudaError_t cudaDriverGetVersion(int* version) {
  return *version = CUDART_VERSION, cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {"emulated", 0, 0, size_t{1} << 30};
  return cudaSuccess;
}
template <typename Kernel>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes*, Kernel) {
  return cudaSuccess;
}

// Fresh memory is filled with something that is not zero, so that nobody relies on zeros.
inline cudaError_t Allocate(void** memory, size_t bytes) {
  *memory = std::malloc(bytes);
  if (*memory == nullptr) return cudaErrorOther;
  std::memset(*memory, 0xcd, bytes);
  return cudaSuccess;
}
inline cudaError_t Release(void* memory) { return std::free(memory), cudaSuccess; }
inline cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t) {
  return Allocate(memory, bytes);
}
inline cudaError_t cudaFreeAsync(void* memory, cudaStream_t) { return Release(memory); }
inline cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  return Allocate(memory, bytes);
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return Allocate(stream, 1);
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) { return Release(stream); }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return Allocate(event, 1);
}
inline cudaError_t cudaEventDestroy(cudaEvent_t event) { return Release(event); }
inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, int, cudaStream_t) {
  return std::memcpy(to, from, bytes), cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t) {
  return std::memset(to, value, bytes), cudaSuccess;
}

// Only kernels without __syncthreads use it, and their threads run one after the other.
inline float atomicAdd(float* to, float value) {
  const float before = *to;
  *to += value;
  return before;
}

namespace emulation {

class Barrier {
 public:
  void Reset(unsigned threads) { threads_ = threads; }
  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    const unsigned now = round_;
    if (++waiting_ == threads_) {
      waiting_ = 0;
      round_++;
      all_.notify_all();
      return;
    }
    all_.wait(lock, [&] { return now != round_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_;
  unsigned threads_ = 0, waiting_ = 0, round_ = 0;
};
inline Barrier barrier;
inline std::mutex one_launch;

// `waits`: the kernel uses __syncthreads, so that each of its threads is one of ours.
template <typename Kernel>
void Launch(bool waits, dim3 grid, dim3 block, const Kernel& kernel) {
  std::lock_guard<std::mutex> lock(one_launch);
  const auto for_blocks = [&](const auto& run) {
    for (unsigned z = 0; z < grid.z; z++)
      for (unsigned y = 0; y < grid.y; y++)
        for (unsigned x = 0; x < grid.x; x++) {
          blockIdx = dim3(x, y, z);
          run();
        }
  };
  if (!waits) {
    for_blocks([&] {
      for (unsigned t = 0; t < block.x; t++) {
        threadIdx = dim3(t, 0, 0);
        kernel();
      }
    });
    return;
  }
  barrier.Reset(block.x);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < block.x; t++)
    threads.emplace_back([&, t] {
      threadIdx = dim3(t, 0, 0);
      for_blocks([&] {
        kernel();
        barrier.Wait();
      });
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace emulation
