#include "lathe/model/mtp.h"

#include "lathe/ops/attention.h"
#include "lathe/ops/channels.h"

namespace lathe {

MtpModule::MtpModule(const ModelConfig& c, const StackSpec& stack, int64_t depth)
    : hidden_norm_(make_norm(c)),
      ahead_norm_(make_norm(c)),
      norm_(make_norm(c)),
      join_(2 * c.hidden_size, c.hidden_size, false, c.initializer_range),
      block_(c, stack, stack.layers + depth - 1) {}

Var MtpModule::forward(const Forward& f, const PassPositions& positions, const Var& hidden,
                       const Var& ahead) const {
  const Var both =
      ops::merge_heads(ops::join_channels(ops::split_heads(ahead_norm_->forward(f, ahead), 1),
                                          ops::split_heads(hidden_norm_->forward(f, hidden), 1)));
  return norm_->forward(f, block_.forward(f, positions, join_.forward(f, both)));
}

void MtpModule::visit(ModuleVisitor& v) {
  v.child("hidden_norm", *hidden_norm_);
  v.child("ahead_norm", *ahead_norm_);
  v.child("join", join_);
  v.child("norm", *norm_);
}

}  // namespace lathe
