#include "lathe/base/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

namespace lathe {

int64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

int64_t physical_memory_bytes() {
  const int64_t pages = ::sysconf(_SC_PHYS_PAGES), size = ::sysconf(_SC_PAGESIZE);
  return std::max<int64_t>(0, pages) * std::max<int64_t>(0, size);
}

}  // namespace lathe
