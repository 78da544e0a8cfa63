// xPos: rotary positions whose queries grow and whose keys shrink with their place, so that scores
// fall with the distance, the fast channels' most. Pair i of R/2 turns by position · theta^(-2i/R),
//   q'_n = z_i^(n/S) · turn(q_n),  k'_m = z_i^(-m/S) · turn(k_m),
//   z_i = (2i/R + gamma) / (1 + gamma),
// so q'·k' has the factor z_i^((n - m)/S). In f32 the factors of a place far from 0 leave the range
// of numbers, which limits the length of a text.

#include <algorithm>
#include <cmath>

#include "lathe/nn/position/position.h"
#include "lathe/ops/attention.h"

namespace lathe {
namespace {

struct XposConfig {
  double xpos_gamma = 0.4;
  double xpos_scale_base = 512.0;

  // The smallest of z_i.
  double least_factor() const { return xpos_gamma / (1.0 + xpos_gamma); }
  void visit(Visitor& v) {
    v.field("xpos_gamma", xpos_gamma, "xpos: larger values let scores fall more slowly", above(0));
    v.field("xpos_scale_base", xpos_scale_base,
            "xpos: distance S over which the scores of pair i fall by its factor", above(0));
  }
  void check(const PositionShape& s, const KeyErrors& keys) const {
    if (s.sees_later)
      keys.refuse("kind", fmt::format("xpos makes scores grow with the distance of later keys, "
                                      "which body = \"{}\" shows; use \"rope\"",
                                      s.body));
    if (s.rotary_width % 2 != 0)
      keys.parent().refuse("head_dim", fmt::format("xpos rotates pairs of channels, but {} can "
                                                   "rotate; use an even number",
                                                   s.rotary_width));
  }
};

class XposOfPass : public PassPositions {
 public:
  XposOfPass(const XposConfig& config, int64_t width, const Tensor& positions, const Tensor& like)
      : config_(config),
        width_(width),
        positions_(positions),
        queries_(tables(1.0, like)),
        keys_(tables(-1.0, like)) {}
  std::pair<Var, Var> apply_to_heads(const Forward&, const AttentionSite&, const Var& q,
                                     const Var& k) const override {
    constexpr auto kLayout = kernels::RopeLayout::kHalfSplit;
    return {ops::rope_in_place(q, queries_, positions_, kLayout),
            ops::rope_in_place(k, keys_, positions_, kLayout)};
  }

 private:
  ops::RopeTables tables(double sign, const Tensor& like) const {
    int32_t last = -1;
    for (const int32_t p : positions_.span<int32_t>()) last = std::max(last, p);
    const int64_t rows = int64_t{last} + 1, pairs = width_ / 2;
    Tensor cosines({rows, pairs}, DType::kF64, like.device()),
        sines(cosines.shape(), DType::kF64, like.device());
    for (int64_t p = 0; p < rows; ++p)
      for (int64_t i = 0; i < pairs; ++i) {
        const double share = static_cast<double>(2 * i) / static_cast<double>(width_);
        const double factor = (share + config_.xpos_gamma) / (1.0 + config_.xpos_gamma);
        const double place = static_cast<double>(p), angle = place * std::pow(10000.0, -share);
        const double scale = std::pow(factor, sign * place / config_.xpos_scale_base);
        cosines.data<double>()[p * pairs + i] = scale * std::cos(angle);
        sines.data<double>()[p * pairs + i] = scale * std::sin(angle);
      }
    const DType type = like.dtype() == DType::kF64 ? DType::kF64 : DType::kF32;
    return {cosines.to(type), sines.to(type)};
  }

  const XposConfig& config_;
  int64_t width_;
  Tensor positions_;
  ops::RopeTables queries_, keys_;
};

class Xpos : public Position {
 public:
  Xpos(const PositionShape& s, const XposConfig& config)
      : width_(s.rotary_width), config_(config) {}
  static PositionTraits traits(const PositionShape&, const XposConfig&) {
    return {.rotates = true};
  }

  std::unique_ptr<PassPositions> begin(const Forward& f, const Tensor& x) const override {
    return std::make_unique<XposOfPass>(config_, width_, f.rows->positions, x);
  }
  // Where the factor of a place would leave f32 (1e-38 to 1e38); half of that, for their products.
  int64_t limit() const override {
    constexpr double kLargestLogarithm = 40.0;
    return static_cast<int64_t>(kLargestLogarithm * config_.xpos_scale_base /
                                -std::log(config_.least_factor()));
  }
  std::string_view kind() const override { return "xPos"; }

 private:
  int64_t width_;
  XposConfig config_;
};

}  // namespace

PositionComponent xpos_position() {
  return position_component<Xpos, XposConfig>(
      {.name = "xpos",
       .summary = "rotary positions whose scores fall with the distance",
       .source = "Sun et al. 2022, arXiv:2212.10554",
       .examples = {{"steep", R"({"xpos_gamma": 0.1, "xpos_scale_base": 8.0})"}}});
}

}  // namespace lathe
