// The threads that share the tensor kernels' loops.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace nodule::tensor {

/// Threads that help whoever calls Run. OpenMP's teams wait at the end of a loop for all of their threads, also for one
/// that the system has not let begin: beside busy processes each of a step's thousand loops then waits for a time slice.
/// Here a helper that comes too late is not waited for; the caller has done its share.
///
/// Helpers spin for a moment between loops, since waking a sleeping one costs as much as a small loop, then sleep.
class Crew {
 public:
  using Call = void (*)(const void* body, int64_t part, int thread);

  /// Calls call(body, part, thread) once for each part in [0, parts), on the caller (thread 0) and on up to `helpers`
  /// others (1 .. helpers), and returns when all calls have returned. One caller at a time. `call` must not throw.
  void Run(int64_t parts, int helpers, Call call, const void* body);

 private:
  void Start(int helpers);
  void Serve(int thread);
  uint64_t Await(uint64_t before);
  void Work(int thread);
  void AwaitHelpers();

  // The job that may be joined, 0: none. A helper counts itself as inside first and looks here again then: either it sees
  // that the job is closed, or the caller, who closes first and looks at the count then, sees the helper.
  std::atomic<uint64_t> open_{0};
  std::atomic<int> inside_{0};
  std::atomic<int> asleep_{0};
  std::atomic<bool> caller_waits_{false};
  // The caller takes parts from the front, helpers from behind: what one loop wrote, the next loop's same thread reads
  // mostly. Where two cores share no cache (two chiplets), data that change hands cost more than a small convolution.
  std::atomic<int64_t> taken_{0}, from_behind_{0};
  // Written by the caller while nobody is inside.
  int64_t parts_ = 0;
  int helpers_ = 0;
  Call call_ = nullptr;
  const void* body_ = nullptr;
  // The caller's own.
  uint64_t jobs_ = 0;
  int started_ = 0;

  std::mutex mutex_;
  std::condition_variable work_, done_;
};

}  // namespace nodule::tensor
