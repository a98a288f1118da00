#include "common/parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "common/host_device.h"

namespace nodule {
namespace {

constexpr int kMaxThreads = 1024;

struct Job {
  size_t count;
  size_t grain;
  const std::function<void(size_t, size_t)>* body;
  std::atomic<size_t> next{0};
  // Under the pool's mutex:
  int helpers_wanted = 0;
  int helpers_inside = 0;
  std::exception_ptr failure;  // the first one

  // Returns what `body` threw; then no range begins any more.
  std::exception_ptr Run() noexcept {
    try {
      for (;;) {
        const size_t begin = next.fetch_add(grain, std::memory_order_relaxed);
        if (begin >= count) return nullptr;
        (*body)(begin, std::min(begin + grain, count));
      }
    } catch (...) {
      next.store(count, std::memory_order_relaxed);
      return std::current_exception();
    }
  }

  // Under the pool's mutex.
  void Note(const std::exception_ptr& thrown) {
    if (!failure) failure = thrown;
  }
};

class Pool {
 public:
  void SetSize(int size) {
    std::lock_guard<std::mutex> lock(mutex_);
    size_ = std::clamp(size, 1, kMaxThreads);
  }

  int Size() {
    std::lock_guard<std::mutex> lock(mutex_);
    return size_;
  }

  void Run(Job& job) {
    int helpers = 0;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      const size_t parts = (job.count + job.grain - 1) / job.grain;
      helpers = static_cast<int>(std::min<size_t>(size_ - 1, parts - 1));
      for (; started_ < helpers; started_++) std::thread([this] { Serve(); }).detach();
      job.helpers_wanted = helpers;
      if (helpers > 0) jobs_.push_back(&job);
    }
    for (int i = 0; i < helpers; i++) work_.notify_one();
    const std::exception_ptr thrown = job.Run();
    // The caller has found no more work: nobody new may join, and those inside finish their last
    // range.
    std::unique_lock<std::mutex> lock(mutex_);
    jobs_.erase(std::remove(jobs_.begin(), jobs_.end(), &job), jobs_.end());
    job.Note(thrown);
    done_.wait(lock, [&] { return job.helpers_inside == 0; });
    lock.unlock();
    if (job.failure) std::rethrow_exception(job.failure);
  }

 private:
  void Serve() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      work_.wait(lock, [&] { return !jobs_.empty(); });
      Job* job = jobs_.front();
      job->helpers_inside++;
      if (--job->helpers_wanted == 0) jobs_.erase(jobs_.begin());
      lock.unlock();
      std::exception_ptr thrown = job->Run();
      lock.lock();
      job->Note(thrown);
      thrown = nullptr;  // the caller's from now on
      if (--job->helpers_inside == 0) done_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable done_;
  std::vector<Job*> jobs_;
  int started_ = 0;
  int size_ = 1;
};

// Never destroyed: its threads sleep until the process ends.
Pool& ThePool() {
  static Pool* pool = [] {
    auto* made = new Pool;
    made->SetSize(std::max(1U, std::thread::hardware_concurrency()));
    return made;
  }();
  return *pool;
}

}  // namespace

int ThreadCount() { return ThePool().Size(); }

void SetThreadCount(int count) { ThePool().SetSize(count); }

void ParallelFor(size_t count, size_t grain, const std::function<void(size_t, size_t)>& body) {
  if (count == 0) return;
  grain = std::max<size_t>(1, grain);
  if (count <= grain) {
    body(0, count);
    return;
  }
  Job job;
  job.count = count;
  job.grain = grain;
  job.body = &body;
  ThePool().Run(job);
}

const char* InstructionSet() {
#if NODULE_HAS_CLONES
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) return "x86-64-v4";
  if (__builtin_cpu_supports("x86-64-v3")) return "x86-64-v3";
  if (__builtin_cpu_supports("x86-64-v2")) return "x86-64-v2";
  return "x86-64";
#elif defined(__aarch64__)
  return "arm64";
#elif defined(__x86_64__)
  return "x86-64";
#else
  return "generic";
#endif
}

}  // namespace nodule
