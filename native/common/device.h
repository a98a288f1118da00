// The CUDA device, seen from C++ that is compiled without CUDA headers.
#pragma once

#include <string>

namespace nodule {

enum class Device { kCpu, kCuda };

#if defined(NODULE_WITH_CUDA)
// "" when a device can be used, else why not ("no device", "driver too old: ..."). Asked once.
const std::string& CudaProblem();
// Such as "NVIDIA H100 PCIe, compute capability 9.0, 79 GiB". Only when CudaProblem() is "".
std::string CudaDescription();
#endif

}  // namespace nodule
