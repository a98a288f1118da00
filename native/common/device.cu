#include <cuda_runtime.h>

#include <string>

#include "common/device.h"

namespace nodule {
namespace {

// Is never run: whether the addon has code for a device is asked with it.
__global__ void Probe() {}

std::string FindProblem() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver ||
      (error == cudaSuccess && count == 0)) {
    cudaGetLastError();
    int driver = 0;
    if (cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0 &&
        error == cudaErrorInsufficientDriver)
      return "driver too old: it knows CUDA " + std::to_string(driver / 1000) + "." +
             std::to_string(driver % 1000 / 10) + ", the addon was built with " +
             std::to_string(CUDART_VERSION / 1000) + "." +
             std::to_string(CUDART_VERSION % 1000 / 10);
    return "no device";
  }
  if (error != cudaSuccess) return cudaGetErrorString(error);
  cudaFuncAttributes attributes;
  const cudaError_t probed = cudaFuncGetAttributes(&attributes, Probe);
  if (probed != cudaSuccess) {
    cudaGetLastError();
    return "no code for this device (" + CudaDescription() + "): " + cudaGetErrorString(probed);
  }
  return "";
}

}  // namespace

const std::string& CudaProblem() {
  static const std::string problem = FindProblem();
  return problem;
}

std::string CudaDescription() {
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, 0) != cudaSuccess) return "unknown device";
  return std::string(properties.name) + ", compute capability " + std::to_string(properties.major) +
         "." + std::to_string(properties.minor) + ", " +
         std::to_string(properties.totalGlobalMem >> 30) + " GiB";
}

}  // namespace nodule
