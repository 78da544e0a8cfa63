#include "lathe/cli/commands/model/stream_options.h"

#include <algorithm>

#include "lathe/base/error.h"

namespace lathe {

void StreamOptions::visit(Visitor& v) {
  v.field("stream_window", stream_window,
          "every token sees the last N and the first --stream-sinks tokens only, so that texts of "
          "any length stream through a bounded memory; what is in between is forgotten",
          between(1, 1 << 24));
  v.field("stream_sinks", stream_sinks, "first tokens that --stream-window keeps in view",
          between(0, 1 << 16));
}

std::optional<Streaming> StreamOptions::streaming(const CommandContext& context) const {
  const bool given = std::ranges::find(context.given, "stream_sinks") != context.given.end();
  require(stream_window || !given, ErrorKind::kUsage, "--stream-sinks",
          "has no effect without --stream-window");
  if (!stream_window) return std::nullopt;
  return Streaming{.window = *stream_window, .sinks = stream_sinks};
}

}  // namespace lathe
