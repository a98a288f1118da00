#include "threads.h"

#include <omp.h>

#include <exception>
#include <initializer_list>
#include <mutex>

#include "crew.h"

namespace nodule::tensor {

namespace {
int thread_count = 0;
}

void SetThreadCount(int count) {
  thread_count = count < 1 ? 1 : count;
  UseThreadCount();
}

// oneDNN reads this when it creates a primitive and when it runs one.
void UseThreadCount() { omp_set_num_threads(ThreadCount()); }

void RunParts(int64_t n, void (*call)(const void* body, int64_t part, int thread),
              const void* body) {
  // Never destroyed: its threads sleep until the process ends.
  static Crew& crew = *new Crew;
  const int threads = ThreadCount();
  if (n <= 1 || threads == 1) {
    for (int64_t part = 0; part < n; ++part) call(body, part, 0);
    return;
  }
  crew.Run(n, threads - 1, call, body);
}

void ForEachPiece(int64_t n, const std::function<void(int64_t piece, int thread)>& body) {
  const OneThread one;
  std::exception_ptr failure;
  std::mutex mutex;
  ForEachPart(n, [&](int64_t piece, int thread) {
    try {
      body(piece, thread);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      failure = std::current_exception();
    }
  });
  if (failure) std::rethrow_exception(failure);
}

OneThread::OneThread() { omp_set_num_threads(1); }
OneThread::~OneThread() { omp_set_num_threads(ThreadCount()); }

SignalBlock::SignalBlock() {
  static const sigset_t blocked = [] {
    sigset_t set;
    sigfillset(&set);
    // Those that an instruction of this thread raises must still end the process at once.
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) sigdelset(&set, own);
    return set;
  }();
  pthread_sigmask(SIG_SETMASK, &blocked, &before_);
}

SignalBlock::~SignalBlock() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

int ThreadCount() {
  if (thread_count == 0) SetThreadCount(omp_get_max_threads());
  return thread_count;
}

}  // namespace nodule::tensor
