#include "lathe/base/process.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

namespace lathe {

int64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

int64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  int64_t mapped = 0, resident = 0;
  if (!(in >> mapped >> resident)) return 0;
  return resident * ::sysconf(_SC_PAGESIZE);
}

void return_freed_memory() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

int64_t physical_memory_bytes() {
  const int64_t pages = ::sysconf(_SC_PHYS_PAGES), size = ::sysconf(_SC_PAGESIZE);
  return std::max<int64_t>(0, pages) * std::max<int64_t>(0, size);
}

int processor_count() { return std::max(1, static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN))); }

double processor_hertz() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("cpu MHz"))
      if (const size_t colon = line.find(':'); colon != std::string::npos)
        return std::max(0.0, std::strtod(line.c_str() + colon + 1, nullptr) * 1e6);
  return 0;
}

std::optional<double> load_average() {
  double minute = 0;
  return ::getloadavg(&minute, 1) == 1 ? std::optional(minute) : std::nullopt;
}

}  // namespace lathe
