#include "lathe/cli/frame/global_options.h"

#include "lathe/kernels/kernels.h"

namespace lathe {

void GlobalOptions::visit(Visitor& v) {
  v.field("json", json, "print one JSON object on standard output and nothing else");
  v.field("threads", threads, "number of threads; all cores if not given", between(1, 1024));
  v.choice("cpu_level", cpu_level, kernels::cpu_levels(),
           "instruction set of the kernels; the best that the machine supports if not given");
}

}  // namespace lathe
