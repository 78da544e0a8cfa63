// The options of every command; parsing, help and completion read them here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lathe/config/visit.h"
#include "lathe/kernels/kernels.h"

namespace lathe {

struct GlobalOptions {
  bool json = false;
  std::optional<int64_t> threads;
  std::optional<std::string> cpu_level;

  template <class V>
  void visit(V& v) {
    v.field("json", json, "print one JSON object on standard output and nothing else");
    v.field("threads", threads, "threads to compute with; all cores when not given",
            between(1, 1024));
    v.choice("cpu_level", cpu_level, kernels::cpu_levels(),
             "instruction set of the kernels; the best that the machine runs when not given");
  }
};

}  // namespace lathe
