// Shared with frames, which starts from the same slices.
#pragma once

#include <napi.h>

#include "hu/hu.h"

namespace nodule {

// Reads {slices, slope: Float32Array, intercept: Float32Array, paddingLow, paddingHigh, clampLow, clampHigh}; the
// clamp must lie within int16 when `whole`. Leaves the outputs alone.
void ReadHuParams(Napi::Env env, const Napi::Object& object, bool whole, HuParams* params);

}  // namespace nodule
