// What addon.cpp registers.
#pragma once

#include <napi.h>

namespace nodule {

void InitStatus(Napi::Env env, Napi::Object exports);
void InitHu(Napi::Env env, Napi::Object exports);
void InitFrames(Napi::Env env, Napi::Object exports);
void InitRezoom(Napi::Env env, Napi::Object exports);
void InitRoiAlign(Napi::Env env, Napi::Object exports);
void InitHungarian(Napi::Env env, Napi::Object exports);
void InitLungs(Napi::Env env, Napi::Object exports);

}  // namespace nodule
