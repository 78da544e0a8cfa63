// The options of commands that stream texts past what a model sees (nn/streaming.h).
#pragma once

#include <optional>

#include "lathe/cli/frame/command.h"
#include "lathe/config/visit.h"
#include "lathe/nn/streaming.h"

namespace lathe {

struct StreamOptions {
  std::optional<int64_t> stream_window;
  int64_t stream_sinks = 4;

  void visit(Visitor& v);
  // Nothing without a window. Errors: kUsage for sinks without one.
  std::optional<Streaming> streaming(const CommandContext& context) const;
};

}  // namespace lathe
