// How the tensor kernels share their work among threads: our own crew's. oneDNN's primitives run on one of them each; what
// is too small or too odd to be cut uses oneDNN's own threads, which are OpenMP's.
#pragma once

#include <signal.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace nodule::tensor {

/// Threads used by every kernel from now on (1 .. 1024).
void SetThreadCount(int count);
int ThreadCount();
/// Tells OpenMP, which keeps a number for each calling thread: needed once in each call from outside.
void UseThreadCount();

/// While it lives, oneDNN makes and runs primitives on the calling thread alone.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
};

/// Holds back asynchronous signals for this thread, and for OpenMP threads that start meanwhile, while it lives.
/// oneDNN's generated sgemm keeps data below the stack pointer (2.6.3, AVX-512): a handler that runs on that stack
/// (Ctrl-C, a child that ends, the profiler's SIGPROF) overwrites it and corrupts the heap.
class SignalBlock {
 public:
  SignalBlock();
  ~SignalBlock();
  SignalBlock(const SignalBlock&) = delete;
  SignalBlock& operator=(const SignalBlock&) = delete;

 private:
  sigset_t before_;
};

/// Work below this many floats is not worth waking another thread for (about 10 microseconds).
constexpr int64_t kGrain = 16 * 1024;
/// Into how many parts for each thread work is cut.
constexpr int kPartsAThread = 4;

/// Calls call(body, part, thread) for each part in [0, n): see Crew::Run.
void RunParts(int64_t n, void (*call)(const void* body, int64_t part, int thread),
              const void* body);

/// Calls body(part, thread) for each part in [0, n), each by whichever of the threads 0 .. ThreadCount() - 1 is free: one
/// that the system has put aside keeps nobody waiting for more than its present part. body must not throw.
template <typename Body>
void ForEachPart(int64_t n, const Body& body) {
  RunParts(
      n,
      [](const void* erased, int64_t part, int thread) {
        (*static_cast<const Body*>(erased))(part, thread);
      },
      &body);
}

/// The same for parts that run oneDNN's primitives of one thread, and may throw: one of the exceptions comes out.
void ForEachPiece(int64_t n, const std::function<void(int64_t piece, int thread)>& body);

/// Calls body(begin, end) for disjoint parts of [0, n). Parts hold at least `grain` items. Each item must be
/// independent of the others: the split depends on the thread count, so a sum across items has no place here.
template <typename Body>
void ParallelFor(int64_t n, int64_t grain, const Body& body) {
  if (n <= 0) return;
  const int threads = ThreadCount();
  int64_t parts = grain > 0 ? n / grain : n;
  // More parts than threads, so that a thread which lost its core leaves its share to the others.
  if (parts > kPartsAThread * threads) parts = kPartsAThread * threads;
  if (parts <= 1 || threads == 1) {
    body(int64_t{0}, n);
    return;
  }
  ForEachPart(parts, [&](int64_t part, int) { body(n * part / parts, n * (part + 1) / parts); });
}

/// Floats of a run.
constexpr int64_t kRun = 64 * 1024;

/// Calls body(array, begin, end) for runs of arrays of these sizes, which begin at multiples of kRun; small arrays share
/// a part. Each element must be independent of the others.
template <typename Body>
void ForEachRun(const std::vector<int64_t>& sizes, const Body& body) {
  struct Run {
    size_t array;
    int64_t begin, end;
  };
  std::vector<Run> runs;
  std::vector<size_t> firsts;  // of each part
  int64_t filled = kRun;
  for (size_t array = 0; array < sizes.size(); ++array)
    for (int64_t begin = 0; begin < sizes[array]; begin += kRun) {
      const int64_t end = begin + kRun < sizes[array] ? begin + kRun : sizes[array];
      if (filled >= kRun) {
        firsts.push_back(runs.size());
        filled = 0;
      }
      filled += end - begin;
      runs.push_back({array, begin, end});
    }
  const auto parts = static_cast<int64_t>(firsts.size());
  firsts.push_back(runs.size());
  ForEachPart(parts, [&](int64_t part, int) {
    for (size_t r = firsts[part]; r < firsts[part + 1]; ++r)
      body(runs[r].array, runs[r].begin, runs[r].end);
  });
}

}  // namespace nodule::tensor
