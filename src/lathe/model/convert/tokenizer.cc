// Another tokenizer, made from the model's own by adding pieces or leaving some out. Each of its
// tokens is an old one and takes that row along, or is made of several and begins at the mean of
// their rows; where nothing is known of it, near the mean of all (token_rows.h).
//
// New tokens beside old ones: the logit of one at the mean of the pieces P is the mean of theirs, so
// exp of it is their geometric mean and at most their mean. All new ones together add at most
// sum over the pieces o of p(o) · sum over the new tokens with o of 1/|P| to the softmax's denominator,
// hence to the loss of a text of old tokens: nearly nothing where the model does not expect the
// pieces, such as a new script beside the old one.

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/model/convert/conversion.h"
#include "lathe/model/convert/token_rows.h"

namespace lathe {
namespace {

void write_mean(const TokenRows& from, const std::vector<int32_t>& pieces, float* row) {
  for (int64_t c = 0; c < from.width; ++c) {
    double sum = 0;
    for (const int32_t piece : pieces) sum += from.at(piece)[c];
    row[c] = static_cast<float>(sum / static_cast<double>(pieces.size()));
  }
}

class TokenizerConversion : public Conversion {
 public:
  explicit TokenizerConversion(const ConversionOptions& options)
      : sources_(*options.token_sources),
        new_ids_(new_ids_of(sources_)),
        known_tokens_(options.known_tokens),
        seed_(static_cast<uint64_t>(options.seed)) {}

  ModelConfig config(const ModelConfig& from) const override {
    require(!sources_.empty(), ErrorKind::kConfig, "--tokenizer", "has no tokens");
    for (size_t id = 0; id < sources_.size(); ++id)
      for (const int32_t old : sources_[id])
        require(
            old >= 0 && old < from.vocab_size, ErrorKind::kConfig, "--tokenizer",
            "its token {} is made of the model's token {}, but the model has {} rows; expected a "
            "tokenizer that was made from the model's own",
            id, old, from.vocab_size);
    ModelConfig to = from;
    to.vocab_size = static_cast<int64_t>(sources_.size());
    for (const auto& [key, member] : kSpecialIds)
      if (to.*member) to.*member = new_id(key, *(to.*member));
    for (int64_t& id : to.other_eos_token_ids) id = new_id("eos_token_id", id);
    return to;
  }

  void fill(Transformer& from, Transformer& to) const override {
    const int64_t rows = from.config().vocab_size;
    const int64_t known = std::clamp<int64_t>(known_tokens_.value_or(rows), 1, rows);
    const Rng rng(seed_);
    carry_over(from, to, [&](const Parameter* old, Parameter& fresh) {
      if (!has_token_rows(fresh) || old == nullptr) return false;
      const TokenRows before(*old), after(fresh);
      const MeanRows mean(before, known, rng.fork(fresh.name));
      parallel_for(static_cast<int64_t>(sources_.size()), 16, [&](int64_t id) {
        const std::vector<int32_t>& pieces = sources_[static_cast<size_t>(id)];
        pieces.empty() ? mean.draw(id, after.at(id)) : write_mean(before, pieces, after.at(id));
      });
      return true;
    });
  }

  std::string note(const ModelConfig&) const override {
    const auto of = [&](auto&& has) { return std::ranges::count_if(sources_, has); };
    return fmt::format(
        "of {} tokens {} keep their row, {} begin at the mean of the pieces that they were before, "
        "{} near the mean of all rows",
        sources_.size(), of([](const auto& s) { return s.size() == 1; }),
        of([](const auto& s) { return s.size() > 1; }),
        of([](const auto& s) { return s.empty(); }));
  }

 private:
  int64_t new_id(std::string_view key, int64_t old) const {
    const auto found = new_ids_.find(old);
    require(found != new_ids_.end(), ErrorKind::kConfig, key,
            "the model's {} is {}, which the new tokenizer has no token for; expected a tokenizer "
            "that keeps this token, or a config.json without the key",
            key, old);
    return found->second;
  }

  TokenSources sources_;
  NewIds new_ids_;
  std::optional<int64_t> known_tokens_;
  uint64_t seed_;
};

}  // namespace

NewIds new_ids_of(const TokenSources& sources) {
  NewIds ids;
  for (size_t id = 0; id < sources.size(); ++id)
    if (sources[id].size() == 1) ids.emplace(sources[id].front(), static_cast<int64_t>(id));
  return ids;
}

std::unique_ptr<Conversion> make_tokenizer_conversion(const ConversionOptions& options) {
  if (!options.token_sources) return nullptr;
  return std::make_unique<TokenizerConversion>(options);
}

}  // namespace lathe
