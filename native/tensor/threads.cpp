#include "threads.h"

#include <omp.h>

namespace nodule::tensor {

namespace {
int thread_count = 0;
}

void SetThreadCount(int count) {
  thread_count = count < 1 ? 1 : count;
  // oneDNN reads this when it creates a primitive and when it runs one.
  omp_set_num_threads(thread_count);
}

int ThreadCount() {
  if (thread_count == 0) SetThreadCount(omp_get_max_threads());
  return thread_count;
}

}  // namespace nodule::tensor
