#include "lathe/cli/brief_waits.h"

#include <unistd.h>

#include <cstdlib>

#include "lathe/base/env.h"

namespace lathe {

void wait_briefly(char** argv) {
#if defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
  constexpr const char* kSpins = "GOMP_SPINCOUNT";
  if (environment("OMP_WAIT_POLICY") || environment(kSpins)) return;
  if (::setenv(kSpins, "10000", /*overwrite=*/0) == 0)  // about 0.1 ms
    ::execv("/proc/self/exe", argv);
#else
  (void)argv;
#endif
}

}  // namespace lathe
