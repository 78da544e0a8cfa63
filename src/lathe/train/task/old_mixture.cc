#include "lathe/train/task/old_mixture.h"

namespace lathe {

OldMixture::OldMixture(const Recipe& recipe) : vocab_size_(recipe.model.vocab_size) {
  if (recipe.data.replay_valid.empty()) return;
  ObjectiveConfig next_token;
  next_token.name = "next_token";
  const std::shared_ptr<const RowFormat> format =
      make_row_format(next_token, recipe.model, recipe.train.seq_len);
  for (const std::string& text : recipe.data.replay_valid)
    sets_.emplace_back(parse_named_shard(text),
                       ValidationOptions{.seq_len = recipe.train.seq_len,
                                         .batch_size = recipe.train.batch_size,
                                         .samples = recipe.validation_samples(),
                                         .vocab_size = recipe.model.vocab_size,
                                         .format = format});
}

NamedNumbers OldMixture::losses(Transformer& model, const Adapters* adapters,
                                const StopCheck& stop_if_asked) const {
  NamedNumbers losses;
  for (const ValidationSet& set : sets_)
    losses.emplace_back(set.name(), set.measure(
                                           model, [&](int64_t) { stop_if_asked(); }, adapters)
                                        .loss());
  return losses;
}

void OldMixture::add_inputs(Manifest& manifest) const {
  for (const ValidationSet& set : sets_) {
    set.shard().check_ids(vocab_size_);
    add_input(manifest, set.prefix(), "shard");
  }
}

}  // namespace lathe
