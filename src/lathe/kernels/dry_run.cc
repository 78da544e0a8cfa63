#include "lathe/kernels/dry_run.h"

#include "lathe/base/error.h"
#include "lathe/kernels/slots.h"

namespace lathe::kernels {
namespace {

template <auto Member>
struct Idle;
template <class Result, class... Args, Result (*Kernels::*Member)(Args...)>
struct Idle<Member> {
  static Result call(Args...) { return Result(); }
};

// Lives as long as the program: operations keep references to their table.
Kernels& idle_table() {
  static Kernels table = [] {
    Kernels t = cpu_kernels();
    for_each_slot([&](auto slot) { t.*slot.member = Idle<slot.member>::call; });
    return t;
  }();
  table.level = cpu_kernels().level;
  return table;
}

}  // namespace

DryRun::DryRun() {
  require(substitute_cpu_kernels == nullptr, ErrorKind::kDevice, "dry run",
          "an account of kernels is open; close it first");
  substitute_cpu_kernels = &idle_table();
}

DryRun::~DryRun() { substitute_cpu_kernels = nullptr; }

}  // namespace lathe::kernels
