// Every row is one of seven denoisers, equally often (table 1 of the paper): R, short spans; X, long
// spans or many; S, the last quarter of the text.

#include <algorithm>
#include <array>

#include "lathe/base/error.h"
#include "lathe/train/objective/spans.h"

namespace lathe {
namespace {

enum Mode : uint8_t { kR, kX, kS };

constexpr std::string_view kModeNames[] = {"R", "X", "S"};

struct Denoiser {
  Mode mode;
  double mean_span, rate;
};
constexpr std::array<Denoiser, 7> kDenoisers = {{
    {kR, 3, 0.15},
    {kR, 8, 0.15},
    {kX, 3, 0.5},
    {kX, 8, 0.5},
    {kX, 64, 0.15},
    {kX, 64, 0.5},
    {kS, 0, 0.25},
}};

class Ul2 : public Objective {
 public:
  explicit Ul2(const ObjectiveOptions& o) : options_(o) {
    const auto& modes = o.config.mode_token_ids;
    require(modes.empty() || modes.size() == 3, ErrorKind::kConfig, "objective.mode_token_ids",
            "{} ids, expected 3 (for R, X and S) or none", modes.size());
    for (const int64_t id : modes)
      require(id < o.vocab_size - o.config.sentinels, ErrorKind::kConfig,
              "objective.mode_token_ids", "{} is a sentinel or outside the vocabulary of {}", id,
              o.vocab_size);
    for (const Denoiser& d : kDenoisers)
      if (d.mode != kS) require_sentinels(o, counts(d).spans);
  }

  Example example(std::span<const int32_t> tokens, const Rng& rng) const override {
    refuse_sentinels(options_, tokens);
    const auto text = tokens.first(tokens.size() - 1);
    const Denoiser& d = kDenoisers[rng.fork("denoiser").below(0, kDenoisers.size())];
    Corrupted c;
    if (d.mode == kS) {
      const auto cut = text.end() - counts(d).hidden;
      c = {{text.begin(), cut}, {cut, text.end()}};
    } else {
      c = corrupt(text, counts(d), static_cast<int32_t>(options_.vocab_size - 1), rng);
    }
    if (!options_.config.mode_token_ids.empty())
      c.inputs.insert(c.inputs.begin(),
                      static_cast<int32_t>(options_.config.mode_token_ids[d.mode]));
    if (options_.eos_token_id) c.targets.push_back(static_cast<int32_t>(*options_.eos_token_id));
    Example row = join_row(options_, c.inputs, c.targets);
    row.kind = kModeNames[d.mode];
    return row;
  }

  Lengths longest() const override {
    Lengths most;
    const int64_t mode = options_.config.mode_token_ids.empty() ? 0 : 1;
    const int64_t end = options_.eos_token_id ? 1 : 0;
    for (const Denoiser& d : kDenoisers) {
      const SpanCounts n = counts(d);
      const int64_t sentinels = d.mode == kS ? 0 : n.spans;
      const Lengths l = joined_lengths(options_, options_.seq_len - n.hidden + sentinels + mode,
                                       n.hidden + sentinels + end);
      most = {std::max(most.text, l.text), std::max(most.ids, l.ids)};
    }
    return most;
  }

 private:
  SpanCounts counts(const Denoiser& d) const {
    return span_counts(options_.seq_len, d.rate, std::max(1.0, d.mean_span));
  }

  ObjectiveOptions options_;
};

}  // namespace

std::unique_ptr<Objective> make_ul2(const ObjectiveOptions& options) {
  return std::make_unique<Ul2>(options);
}

}  // namespace lathe
