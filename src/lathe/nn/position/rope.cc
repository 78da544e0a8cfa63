// Angles are position · frequency. Frequencies and angles are rounded to f32, as transformers does:
// a model was trained with exactly those angles, and at position 1,000 the rounding is 1e-5
// radians. Cosines and sines are made once per pass, for the positions that occur in it, and with
// the frequencies of each sequence by itself where these depend on its length (dynamic, longrope).
//
// GLM (Du et al. 2022, arXiv:2103.10360) fills a blank behind its prefix, and a token there has two
// places: that of the blank in the prefix, and its own within what fills it. The first half of the
// rotating channels turns by the one, the second by the other (ChatGLM-6B).

#include "lathe/nn/position/rope.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "lathe/base/parallel.h"
#include "lathe/nn/position/position.h"
#include "lathe/ops/attention.h"
#include "lathe/ops/channels.h"

namespace lathe {
namespace {

// How the tokens of a pass turn: by the row of the tables that `rows` names for each, i32 [N].
struct Turns {
  ops::RopeTables tables;
  Tensor rows;
};

// Where the tokens of a pass stand.
struct Places {
  Tensor of_token;               // i32 [N]
  std::vector<int64_t> lengths;  // of each sequence: one more than its last position
  // From here on angles are not rounded to f32: no model was trained there, and a text without end
  // would lose the distances of its fast channels.
  int64_t exact_from = std::numeric_limits<int64_t>::max();
};

// One set of frequencies, or of ways to make them from the length of a text.
class Rotation {
 public:
  Rotation(const RopeStretch& stretch, const RopeScaling& scaling, int64_t width, double theta)
      : stretch_(stretch), scaling_(scaling), width_(width), theta_(theta), usual_(at_length(0)) {}

  Turns of(const Places& places, const Sequences& sequences, DType type, Device device) const {
    std::vector<const RopeFrequencies*> of_sequence(static_cast<size_t>(sequences.count()),
                                                    &usual_);
    std::vector<RopeFrequencies> own;
    if (stretch_.by_length) {
      for (const int64_t length : places.lengths) own.push_back(at_length(length));
      for (size_t b = 0; b < own.size(); ++b) of_sequence[b] = &own[b];
    }
    const bool alike = std::ranges::all_of(
        of_sequence, [&](const auto* f) { return f->values == of_sequence[0]->values; });
    const int64_t tokens = places.of_token.numel();
    const int64_t longest = tokens == 0 ? 0 : std::ranges::max(places.lengths);
    if (alike && longest <= 2 * tokens)  // one row for each position
      return {tables({.rows = longest,
                      .position = [](int64_t row) { return row; },
                      .frequencies = [&](int64_t) { return of_sequence[0]; },
                      .exact_from = places.exact_from},
                     type, device),
              places.of_token};
    std::vector<const RopeFrequencies*> of_token;
    for (int64_t b = 0; b < sequences.count(); ++b)
      of_token.insert(of_token.end(), static_cast<size_t>(sequences.length(b)),
                      of_sequence[static_cast<size_t>(b)]);
    const auto* at = places.of_token.data<int32_t>();
    return {tables({.rows = tokens,
                    .position = [at](int64_t row) { return int64_t{at[row]}; },
                    .frequencies = [&](int64_t row) { return of_token[static_cast<size_t>(row)]; },
                    .exact_from = places.exact_from},
                   type, device),
            counted(tokens)};
  }

  bool differ(int64_t before, int64_t after) const {
    return stretch_.by_length && at_length(before).values != at_length(after).values;
  }

 private:
  RopeFrequencies at_length(int64_t length) const {
    return stretch_.frequencies(scaling_, width_, theta_, length);
  }

  static Tensor counted(int64_t count) {
    Tensor t({count}, DType::kI32);
    std::iota(t.data<int32_t>(), t.data<int32_t>() + count, 0);
    return t;
  }

  struct TableRows {
    int64_t rows;
    std::function<int64_t(int64_t)> position;
    std::function<const RopeFrequencies*(int64_t)> frequencies;
    int64_t exact_from;
  };
  ops::RopeTables tables(const TableRows& of, DType type, Device device) const {
    const auto half = static_cast<int64_t>(usual_.values.size());
    Tensor cosines({of.rows, half}, DType::kF64, device),
        sines(cosines.shape(), DType::kF64, device);
    double *cosine = cosines.data<double>(), *sine = sines.data<double>();
    parallel_for(of.rows, 16, [&](int64_t row) {
      const int64_t p = of.position(row);
      const RopeFrequencies& frequencies = *of.frequencies(row);
      for (int64_t i = 0; i < half; ++i) {
        const float frequency = frequencies.values[static_cast<size_t>(i)];
        const double angle = p < of.exact_from
                                 ? static_cast<double>(static_cast<float>(p) * frequency)
                                 : static_cast<double>(p) * static_cast<double>(frequency);
        cosine[row * half + i] = std::cos(angle) * frequencies.attention_factor;
        sine[row * half + i] = std::sin(angle) * frequencies.attention_factor;
      }
    });
    return {cosines.to(type), sines.to(type)};
  }

  RopeStretch stretch_;
  RopeScaling scaling_;
  int64_t width_;
  double theta_;
  RopeFrequencies usual_;  // where the length does not matter
};

std::vector<int64_t> lengths_of(const Tensor& places, const Sequences& sequences) {
  std::vector<int64_t> lengths;
  const int32_t* at = places.data<int32_t>();
  for (int64_t b = 0; b < sequences.count(); ++b) {
    int64_t length = 0;
    for (int64_t n = sequences.first(b); n < sequences.first(b + 1); ++n)
      length = std::max(length, int64_t{at[n]} + 1);
    lengths.push_back(length);
  }
  return lengths;
}

std::vector<Places> places_in_text(const Rows& rows) {
  return {{rows.positions, lengths_of(rows.positions, rows.sequences)}};
}

// The places from which sink tokens are seen.
std::vector<Places> places_for_sinks(const Rows& rows, const Streaming& streaming) {
  const Tensor nearer(rows.positions.shape(), DType::kI32);
  std::ranges::transform(rows.positions.span<int32_t>(), nearer.data<int32_t>(), [&](int32_t p) {
    return static_cast<int32_t>(streaming.position_for_sinks(p));
  });
  return {{nearer, lengths_of(nearer, rows.sequences)}};
}

// The two places of every token: in the prefix, at whose last token all that follows stands, and
// behind the prefix, counted from 1.
std::vector<Places> places_around_blank(const Rows& rows) {
  require(!rows.prefix.defined() || rows.prefix.shape() == Shape{rows.sequences.count()},
          ErrorKind::kShape, "rope", "prefix has shape {}, expected [{}]", rows.prefix.shape(),
          rows.sequences.count());
  const Tensor inside(rows.positions.shape(), DType::kI32), behind(inside.shape(), DType::kI32);
  for (int64_t b = 0; b < rows.sequences.count(); ++b) {
    const int32_t prefix = rows.prefix.defined() ? rows.prefix.data<int32_t>()[b] : 0;
    for (int64_t n = rows.sequences.first(b); n < rows.sequences.first(b + 1); ++n) {
      const int32_t place = rows.positions.data<int32_t>()[n];
      inside.data<int32_t>()[n] = std::min(place, std::max(prefix - 1, 0));
      behind.data<int32_t>()[n] = std::max(place - prefix + 1, 0);
    }
  }
  std::vector<int64_t> lengths = lengths_of(inside, rows.sequences);
  const std::vector<int64_t> others = lengths_of(behind, rows.sequences);
  for (size_t b = 0; b < lengths.size(); ++b) lengths[b] = std::max(lengths[b], others[b]);
  return {{inside, lengths}, {behind, lengths}};
}

class RopeOfPass : public PassPositions {
 public:
  RopeOfPass(kernels::RopeLayout layout, int64_t width, std::vector<Turns> global,
             std::vector<Turns> local, std::vector<Turns> sinks)
      : layout_(layout),
        width_(width),
        global_(std::move(global)),
        local_(std::move(local)),
        sinks_(std::move(sinks)) {}

  std::pair<Var, Var> apply_to_heads(const Forward&, const AttentionSite& site, const Var& q,
                                     const Var& k) const override {
    const std::vector<Turns>& turns = site.local && !local_.empty() ? local_ : global_;
    return {rotated(q, turns), rotated(k, turns)};
  }

 private:
  Var turned_for_sinks(const Forward&, const AttentionSite&, const Var& q) const override {
    return ops::rope(q, sinks_[0].tables, sinks_[0].rows, layout_);
  }
  Var rotated(const Var& x, const std::vector<Turns>& turns) const {
    if (turns.size() == 1) return ops::rope_in_place(x, turns[0].tables, turns[0].rows, layout_);
    const auto halves = ops::split_channels(x, std::array{width_, x.shape()[2] - width_});
    return ops::join_channels(ops::rope(halves[0], turns[0].tables, turns[0].rows, layout_),
                              ops::rope(halves[1], turns[1].tables, turns[1].rows, layout_));
  }

  kernels::RopeLayout layout_;
  int64_t width_;                      // channels that turn by the first place, of two
  std::vector<Turns> global_, local_;  // by place; local_ empty: as global_
  std::vector<Turns> sinks_;           // of a pass that streams
};

class Rope : public Position {
 public:
  Rope(const PositionShape& s, const RopeConfig& c)
      : layout_(c.rope_layout == "half" ? kernels::RopeLayout::kHalfSplit
                                        : kernels::RopeLayout::kInterleaved),
        blank_(c.blank()),
        width_(c.rotary_width(s.rotary_width) / (c.blank() ? 2 : 1)),
        global_(find_rope_scaling(c.scaling.kind), {c.scaling, s.max_positions}, width_,
                c.rope_theta) {
    if (c.rope_local_base_freq)
      local_.emplace(rope_scalings().front().make, RopeScaling{}, width_, *c.rope_local_base_freq);
  }
  static PositionTraits traits(const PositionShape& s, const RopeConfig& c) {
    return {.rotates = true, .temperature = c.scaling.temperature_for(s.max_positions)};
  }

  std::unique_ptr<PassPositions> begin(const Forward& f, const Tensor& x) const override {
    auto places = blank_ ? places_around_blank(*f.rows) : places_in_text(*f.rows);
    const auto& streaming = f.pass->streaming;
    if (streaming) places[0].exact_from = streaming->window + streaming->sinks;
    const DType type = x.dtype() == DType::kF64 ? DType::kF64 : DType::kF32;
    const auto turns_of = [&](const Rotation& rotation, const std::vector<Places>& at) {
      std::vector<Turns> turns;
      for (const Places& p : at)
        turns.push_back(rotation.of(p, f.rows->sequences, type, x.device()));
      return turns;
    };
    return std::make_unique<RopeOfPass>(
        layout_, width_, turns_of(global_, places),
        local_ ? turns_of(*local_, places) : std::vector<Turns>(),
        streaming ? turns_of(global_, places_for_sinks(*f.rows, *streaming))
                  : std::vector<Turns>());
  }
  bool moves_tokens(int64_t before, int64_t after) const override {
    return global_.differ(before, after);
  }
  bool follows_distances() const override { return !blank_; }
  std::string_view kind() const override { return "Rope"; }

 private:
  kernels::RopeLayout layout_;
  bool blank_;
  int64_t width_;  // channels that turn by the same place
  Rotation global_;
  std::optional<Rotation> local_;
};

}  // namespace

void RopeConfig::visit(Visitor& v) {
  v.field("rope_theta", rope_theta, "base of the rotary wavelengths", above(0));
  v.field("rope_local_base_freq", rope_local_base_freq,
          "separate base for sliding_attention layers, without scaling (Gemma 3)", above(0));
  v.choice("rope_layout", rope_layout, {"half", "interleaved"},
           "which channels rotate together: (i, i + D/2) or (2i, 2i + 1)");
  v.choice("rope_places", rope_places, {"text", "blank"},
           "rope: which position rotates the channels: that in the text, or as in GLM, half of the "
           "channels by the position in the prefix (its end for all later tokens), half by the "
           "position after the prefix (without a prefix, everything is after it)");
  v.field("partial_rotary_factor", partial_rotary_factor,
          "share of each head's channels that rotate; the rest has no position",
          Limits{.minimum = 0, .maximum = 1, .exclusive_minimum = true});
  v.group("scaling", scaling, "scaling of rotary positions beyond the trained length");
}

void RopeConfig::resolve(const PositionShape& s) {
  if (scaling.stretches() && !scaling.original_max_position_embeddings)
    scaling.original_max_position_embeddings = s.max_positions;
}

int64_t RopeConfig::rotary_width(int64_t channels) const {
  // A factor that was made by a division must give its dividend back.
  constexpr double kRounding = 1e-9;
  return static_cast<int64_t>(static_cast<double>(channels) * partial_rotary_factor + kRounding);
}

void RopeConfig::check(const PositionShape& s, const KeyErrors& keys) const {
  if (s.rotary_apart && partial_rotary_factor != 1.0)
    keys.refuse("partial_rotary_factor",
                "attention.qk_rope_head_dim says how many channels rotate; use 1");
  const int64_t width = rotary_width(s.rotary_width);
  if (width % 2 != 0 || width == 0)
    keys.parent().refuse(
        "head_dim",
        partial_rotary_factor == 1.0
            ? fmt::format("rope rotates pairs of channels, but head_dim is {}; use an even one, "
                          "or position.kind = \"learned\"",
                          s.head_dim)
            : fmt::format("rope rotates pairs of channels, but partial_rotary_factor {} of "
                          "head_dim {} leaves {}; choose them so that an even number rotates",
                          partial_rotary_factor, s.head_dim, width));
  if (blank() && width % 4 != 0)
    keys.refuse("rope_places",
                fmt::format("\"blank\" rotates two halves of the channels in pairs, but {} rotate; "
                            "use a multiple of 4 (head_dim, partial_rotary_factor, "
                            "qk_rope_head_dim)",
                            width));
  scaling.check(width / (blank() ? 4 : 2), keys.child("scaling"));
}

PositionComponent rope_position() {
  return position_component<Rope, RopeConfig>(
      {.name = "rope",
       .summary = "queries and keys rotated by their position",
       .source = "Su et al. 2021, arXiv:2104.09864",
       .examples = {{"partial", R"({"partial_rotary_factor": 0.5, "rope_local_base_freq": 50.0})"},
                    {"yarn", R"({"scaling": {"kind": "yarn", "factor": 3.0,
                                    "original_max_position_embeddings": 8}})"},
                    {"blank", R"({"rope_places": "blank"})"},
                    {"interleaved", R"({"rope_layout": "interleaved"})"}}});
}

}  // namespace lathe
