#include "crew.h"

#include <omp.h>

#include <chrono>
#include <thread>

#include "threads.h"

namespace nodule::tensor {
namespace {

// Longer than the JavaScript between two kernels, mostly.
constexpr auto kSpin = std::chrono::microseconds(50);

void Relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

// Whether it became true within kSpin.
template <typename Condition>
bool Spin(const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (condition()) return true;
      Relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

}  // namespace

void Crew::Run(int64_t parts, int helpers, Call call, const void* body) {
  Start(helpers);
  parts_ = parts;
  helpers_ = helpers;
  call_ = call;
  body_ = body;
  taken_.store(0);
  from_behind_.store(0);
  open_.store(++jobs_);
  const int asleep = asleep_.load();
  if (asleep > 0) {
    { const std::lock_guard<std::mutex> lock(mutex_); }
    // Those that are awake come by themselves. Where the count was lowered, the one that would wake may have to stay out.
    if (started_ > helpers) {
      work_.notify_all();
    } else {
      const int64_t wanted = parts - 1 < helpers ? parts - 1 : helpers;
      for (int64_t awake = started_ - asleep; awake < wanted; ++awake) work_.notify_one();
    }
  }
  Work(0);
  open_.store(0);
  AwaitHelpers();
}

void Crew::Start(int helpers) {
  for (; started_ < helpers; ++started_) std::thread(&Crew::Serve, this, started_ + 1).detach();
}

void Crew::Serve(int thread) {
  const SignalBlock block;
  // oneDNN's primitives run alone here.
  omp_set_num_threads(1);
  uint64_t job = 0;
  for (;;) {
    job = Await(job);
    inside_.fetch_add(1);
    if (open_.load() == job && thread <= helpers_) Work(thread);
    if (inside_.fetch_sub(1) == 1 && caller_waits_.load()) {
      const std::lock_guard<std::mutex> lock(mutex_);
      done_.notify_one();
    }
  }
}

// The next job after `before`.
uint64_t Crew::Await(uint64_t before) {
  uint64_t job = 0;
  const auto found = [&] {
    job = open_.load();
    return job != 0 && job != before;
  };
  if (Spin(found)) return job;
  std::unique_lock<std::mutex> lock(mutex_);
  asleep_.fetch_add(1);
  work_.wait(lock, found);
  asleep_.fetch_sub(1);
  return job;
}

void Crew::Work(int thread) {
  const int64_t parts = parts_;
  // As many parts are given from both ends as are taken: they never meet.
  for (int64_t from_front = 0; taken_.fetch_add(1) < parts; ++from_front)
    call_(body_, thread == 0 ? from_front : parts - 1 - from_behind_.fetch_add(1), thread);
}

void Crew::AwaitHelpers() {
  const auto done = [this] { return inside_.load() == 0; };
  if (done() || Spin(done)) return;
  caller_waits_.store(true);
  std::unique_lock<std::mutex> lock(mutex_);
  done_.wait(lock, done);
  lock.unlock();
  caller_waits_.store(false);
}

}  // namespace nodule::tensor
