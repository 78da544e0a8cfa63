// Angles are position · frequency. Frequencies and angles are rounded to f32, as transformers does:
// a model was trained with exactly those angles, and at position 1,000 the rounding is 1e-5
// radians. Cos and sin tables grow (by doubling) to the largest position seen, so that a model
// which allows 131,072 positions does not pay for them when it is given ten tokens; they are made
// again when the length of the text changes the frequencies themselves (dynamic, longrope).
//
// GLM (Du et al. 2022, arXiv:2103.10360) fills a blank behind its prefix, and a token there has two
// places: that of the blank in the prefix, and its own within what fills it. The first half of the
// rotating channels turns by the one, the second by the other (ChatGLM-6B).

#include "lathe/nn/position/rope.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "lathe/nn/position/position.h"
#include "lathe/ops/attention.h"
#include "lathe/ops/channels.h"

namespace lathe {
namespace {

// The tables of one set of frequencies.
class RotaryTables {
 public:
  RotaryTables(const RopeStretch& stretch, const RopeScaling& scaling, int64_t width, double theta)
      : stretch_(stretch),
        scaling_(scaling),
        width_(width),
        theta_(theta),
        frequencies_(stretch.frequencies(scaling, width, theta, 0)) {}

  // For texts of `count` positions.
  const ops::RopeTables& of(int64_t count, DType type, Device device) {
    const bool changed = stretch_.by_length && follow_length(count);
    const bool usable = !changed && tables_.cos.defined() && tables_.cos.size(0) >= count &&
                        tables_.cos.dtype() == type;
    if (!usable) fill(count, type, device);
    return tables_;
  }

  bool differ(int64_t before, int64_t after) const {
    if (!stretch_.by_length) return false;
    return stretch_.frequencies(scaling_, width_, theta_, before).values !=
           stretch_.frequencies(scaling_, width_, theta_, after).values;
  }

 private:
  // Whether it changed the frequencies.
  bool follow_length(int64_t count) {
    RopeFrequencies now = stretch_.frequencies(scaling_, width_, theta_, count);
    const bool changed = now.values != frequencies_.values;
    frequencies_ = std::move(now);
    return changed;
  }

  void fill(int64_t count, DType type, Device device) {
    const auto rows = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(count)));
    const auto half = static_cast<int64_t>(frequencies_.values.size());
    Tensor cosines({rows, half}, DType::kF64, device), sines(cosines.shape(), DType::kF64, device);
    double *cosine = cosines.data<double>(), *sine = sines.data<double>();
    for (int64_t p = 0; p < rows; ++p) {
      for (const float frequency : frequencies_.values) {
        const float angle = static_cast<float>(p) * frequency;
        *cosine++ = std::cos(static_cast<double>(angle)) * frequencies_.attention_factor;
        *sine++ = std::sin(static_cast<double>(angle)) * frequencies_.attention_factor;
      }
    }
    tables_ = {cosines.to(type), sines.to(type)};
  }

  RopeStretch stretch_;
  RopeScaling scaling_;
  int64_t width_;
  double theta_;
  RopeFrequencies frequencies_;
  ops::RopeTables tables_;
};

// Positions that a table needs for these.
int64_t count_of(const Tensor& ids) {
  int32_t last = -1;
  for (const int32_t p : ids.span<int32_t>()) last = std::max(last, p);
  return int64_t{last} + 1;
}

// The two places of every token: in the prefix, at whose last token all that follows stands, and
// behind the prefix, counted from 1.
std::array<Tensor, 2> blank_places(const Forward& f) {
  const int64_t rows = f.positions.size(0), tokens = f.positions.size(1);
  require(!f.prefix.defined() || f.prefix.shape() == Shape{rows}, ErrorKind::kShape, "rope",
          "prefix has shape {}, expected [{}]", f.prefix.shape(), rows);
  std::array<Tensor, 2> places = {Tensor(f.positions.shape(), DType::kI32),
                                  Tensor(f.positions.shape(), DType::kI32)};
  for (int64_t i = 0; i < rows * tokens; ++i) {
    const int32_t place = f.positions.data<int32_t>()[i];
    const int32_t prefix = f.prefix.defined() ? f.prefix.data<int32_t>()[i / tokens] : 0;
    places[0].data<int32_t>()[i] = std::min(place, std::max(prefix - 1, 0));
    places[1].data<int32_t>()[i] = std::max(place - prefix + 1, 0);
  }
  return places;
}

class Rope : public Position {
 public:
  Rope(const PositionShape& s, const RopeConfig& c)
      : layout_(c.rope_layout == "half" ? kernels::RopeLayout::kHalfSplit
                                        : kernels::RopeLayout::kInterleaved),
        blank_(c.blank()),
        table_width_(c.rotary_width(s.rotary_width) / (c.blank() ? 2 : 1)),
        global_(find_rope_scaling(c.scaling.kind), {c.scaling, s.max_positions}, table_width_,
                c.rope_theta) {
    if (c.rope_local_base_freq)
      local_.emplace(rope_scalings().front().make, RopeScaling{}, table_width_,
                     *c.rope_local_base_freq);
  }
  static PositionTraits traits(const PositionShape& s, const RopeConfig& c) {
    return {.rotates = true, .temperature = c.scaling.temperature_for(s.max_positions)};
  }

  std::pair<Var, Var> apply_to_heads(const Forward& f, const AttentionSite& site, const Var& q,
                                     const Var& k) override {
    RotaryTables& tables = site.local && local_ ? *local_ : global_;
    const DType type = q.value.dtype() == DType::kF64 ? DType::kF64 : DType::kF32;
    if (!blank_) {
      const auto& turns = tables.of(count_of(f.positions), type, q.value.device());
      return {ops::rope_in_place(q, turns, f.positions, layout_),
              ops::rope_in_place(k, turns, f.positions, layout_)};
    }
    const auto places = blank_places(f);
    const int64_t count = std::max(count_of(places[0]), count_of(places[1]));
    const auto& turns = tables.of(count, type, q.value.device());
    return {rotate_halves(q, turns, places), rotate_halves(k, turns, places)};
  }
  bool moves_tokens(int64_t before, int64_t after) const override {
    return global_.differ(before, after);
  }
  std::string_view kind() const override { return "Rope"; }

 private:
  Var rotate_halves(const Var& x, const ops::RopeTables& turns,
                    const std::array<Tensor, 2>& places) const {
    const std::array<int64_t, 2> widths = {table_width_, x.shape()[3] - table_width_};
    const auto halves = ops::split_channels(x, widths);
    return ops::join_channels(ops::rope(halves[0], turns, places[0], layout_),
                              ops::rope(halves[1], turns, places[1], layout_));
  }

  kernels::RopeLayout layout_;
  bool blank_;
  int64_t table_width_;  // channels that turn by the same place
  RotaryTables global_;
  std::optional<RotaryTables> local_;
};

}  // namespace

void RopeConfig::visit(Visitor& v) {
  v.field("rope_theta", rope_theta, "base of the rotary wavelengths", above(0));
  v.field("rope_local_base_freq", rope_local_base_freq,
          "another base, unscaled, in sliding_attention layers (Gemma 3)", above(0));
  v.choice("rope_layout", rope_layout, {"half", "interleaved"},
           "which channels rotate together: (i, i + D/2) or (2i, 2i + 1)");
  v.choice(
      "rope_places", rope_places, {"text", "blank"},
      "rope: where a token stands, or as GLM has it: half of the channels by its place in the "
      "prefix, at whose end all that follows stands, half by its place behind the prefix (without "
      "one, everything is behind it)");
  v.field("partial_rotary_factor", partial_rotary_factor,
          "share of each head's channels that rotate; the rest has no position",
          Limits{.minimum = 0, .maximum = 1, .exclusive_minimum = true});
  v.group("scaling", scaling, "rotary positions beyond the trained length");
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
