// Every row is one of seven denoisers, equally often (table 1 of the paper): R, short spans; X,
// long spans or many; S, the last quarter of the text.

#include <algorithm>
#include <array>

#include "lathe/base/error.h"
#include "lathe/train/objectives.h"
#include "lathe/train/row_format/spans.h"

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

struct Ul2Config {
  std::vector<int64_t> mode_token_ids = {};
  void visit(Visitor& v) {
    v.field("mode_token_ids", mode_token_ids,
            "ul2: ids of the mode tokens R, X and S, which tell the model the kind of denoising; "
            "empty: no mode tokens",
            at_least(0));
  }
  void check(const RowShape& shape, const KeyErrors& keys) const {
    if (!mode_token_ids.empty() && mode_token_ids.size() != 3)
      keys.refuse("mode_token_ids", fmt::format("{} ids, expected 3 (for R, X and S) or none",
                                                mode_token_ids.size()));
    for (const int64_t id : mode_token_ids)
      if (id >= shape.vocab_size - shape.hiding.sentinels)
        keys.refuse(
            "mode_token_ids",
            fmt::format("{} is a sentinel or outside the vocabulary of {}", id, shape.vocab_size));
  }
};

class Ul2 : public RowFormat {
 public:
  Ul2(const RowShape& shape, const Ul2Config& config)
      : shape_(shape), mode_token_ids_(config.mode_token_ids) {
    for (const Denoiser& d : kDenoisers)
      if (d.mode != kS) require_sentinels(shape, counts(d).spans);
  }

  Row row(std::span<const int32_t> tokens, const Rng& rng) const override {
    refuse_sentinels(shape_, tokens);
    const auto text = tokens.first(tokens.size() - 1);
    const Denoiser& d = kDenoisers[rng.fork("denoiser").below(0, kDenoisers.size())];
    Corrupted c;
    if (d.mode == kS) {
      const auto cut = text.end() - counts(d).hidden;
      c = {{text.begin(), cut}, {cut, text.end()}};
    } else {
      c = corrupt(text, counts(d), static_cast<int32_t>(shape_.vocab_size - 1), rng);
    }
    if (!mode_token_ids_.empty())
      c.inputs.insert(c.inputs.begin(), static_cast<int32_t>(mode_token_ids_[d.mode]));
    if (shape_.eos_token_id) c.targets.push_back(static_cast<int32_t>(*shape_.eos_token_id));
    Row row = join_row(shape_, c.inputs, c.targets);
    row.kind = kModeNames[d.mode];
    return row;
  }

  RowLengths longest() const override {
    RowLengths most;
    const int64_t mode = mode_token_ids_.empty() ? 0 : 1;
    const int64_t end = shape_.eos_token_id ? 1 : 0;
    for (const Denoiser& d : kDenoisers) {
      const SpanCounts n = counts(d);
      const int64_t sentinels = d.mode == kS ? 0 : n.spans;
      const RowLengths l = joined_lengths(shape_, shape_.seq_len - n.hidden + sentinels + mode,
                                          n.hidden + sentinels + end);
      most = {std::max(most.text, l.text), std::max(most.ids, l.ids)};
    }
    return most;
  }

 private:
  SpanCounts counts(const Denoiser& d) const {
    return span_counts(shape_.seq_len, d.rate, std::max(1.0, d.mean_span));
  }

  RowShape shape_;
  std::vector<int64_t> mode_token_ids_;
};

}  // namespace

Objective ul2_objective() {
  return text_objective<Ul2, Ul2Config>(
      {.name = "ul2",
       .summary =
           "a mixture of seven denoisers: short spans, long or many spans, and the rest of a text",
       .source = "Tay et al. 2022, arXiv:2205.05131"},
      {"encoder_decoder", "prefix_decoder", "decoder"});
}

}  // namespace lathe
