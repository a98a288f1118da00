// CUDA errors become exceptions; for .cu files only.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace nodule {

inline void CudaCheck(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // clears an error that is not sticky
  throw std::runtime_error(std::string("CUDA: ") + what + ": " + cudaGetErrorString(error));
}

}  // namespace nodule

#define NODULE_CUDA_CHECK(call) ::nodule::CudaCheck((call), #call)
// After every launch.
#define NODULE_CUDA_LAUNCHED() ::nodule::CudaCheck(cudaGetLastError(), "kernel launch")
