#include "lathe/base/catalogue.h"
#include "lathe/nn/ffn/ffn.h"
#include "lathe/nn/ffn/ffn_config.h"

namespace lathe {

// One per file in ffn/.
FeedForwardComponent mlp_feed_forward();
FeedForwardComponent gated_feed_forward();
FeedForwardComponent mix_feed_forward();

std::span<const FeedForwardComponent> feed_forwards() {
  static const FeedForwardComponent kFeedForwards[] = {mlp_feed_forward(), gated_feed_forward(),
                                                       mix_feed_forward()};
  return kFeedForwards;
}

FeedForwardConfig::FeedForwardConfig() : ComponentChoice("gated", feed_forwards()) {}

void FeedForwardConfig::visit(Visitor& v) {
  v.choice("kind", kind, names_of(feed_forwards()), "feed-forward layer");
  components.visit(v);
}

}  // namespace lathe
