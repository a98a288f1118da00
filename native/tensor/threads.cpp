#include "threads.h"

#include <omp.h>

#include <initializer_list>

namespace nodule::tensor {

namespace {
int thread_count = 0;
}

void SetThreadCount(int count) {
  thread_count = count < 1 ? 1 : count;
  // oneDNN reads this when it creates a primitive and when it runs one.
  omp_set_num_threads(thread_count);
}

int ThisThread() { return omp_get_thread_num(); }

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
