// P-tuning: vectors before the embedded text that a small network makes (Liu et al. 2021,
// arXiv:2103.10385): a bidirectional LSTM (Hochreiter & Schmidhuber 1997) and an MLP, or an MLP alone.
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "lathe/model/adapter/prompt_encoder.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/linear.h"
#include "lathe/ops/rearrange.h"

namespace lathe {
namespace {

struct PTuningConfig {
  std::string encoder_reparameterization_type = "MLP";
  int64_t encoder_num_layers = 2;

  void visit(Visitor& v) {
    v.choice("encoder_reparameterization_type", encoder_reparameterization_type, {"MLP", "LSTM"},
             "the network that makes the vectors");
    v.field("encoder_num_layers", encoder_num_layers, "layers of its LSTM", at_least(1));
  }
};

// One direction of a layer. Gates in the order input, forget, cell, output.
class Lstm : public Module {
 public:
  Lstm(int64_t inputs, int64_t width)
      : width_(width),
        read_(inputs, 4 * width),
        keep_({4 * width, width},
              {Initializer::Kind::kNormal, 1 / std::sqrt(3.0 * static_cast<double>(width))}) {}

  // x [T, inputs] -> [T, width].
  Var run(const Pass& pass, const Var& x, bool backwards) const {
    const int64_t steps = x.shape()[0];
    const Var read = read_(pass, x), keep = pass.use(keep_);
    const auto zero = [&] {
      return Var(Tensor::zeros({1, width_}, x.value.dtype(), x.value.device()));
    };
    Var h = zero(), cell = zero();
    std::vector<Var> all(static_cast<size_t>(steps));
    for (int64_t i = 0; i < steps; ++i) {
      const int64_t t = backwards ? steps - 1 - i : i;
      const Var gates = ops::add(ops::narrow(read, 0, t, 1), ops::linear(h, keep, Var()));
      const auto gate = [&](int64_t which, const char* f) {
        return ops::activation(kernels::find_activation(f),
                               ops::narrow(gates, 1, which * width_, width_));
      };
      cell = ops::add(ops::multiply(gate(1, "sigmoid"), cell),
                      ops::multiply(gate(0, "sigmoid"), gate(2, "tanh")));
      h = ops::multiply(gate(3, "sigmoid"),
                        ops::activation(kernels::find_activation("tanh"), cell));
      all[static_cast<size_t>(t)] = h;
    }
    return ops::join_rows(all);
  }

  std::string_view kind() const override { return "LSTM"; }
  void visit(ModuleVisitor& v) override {
    v.child("read", read_);
    v.parameter("keep", keep_);
  }

 private:
  int64_t width_;
  Dense read_;      // of the input
  Parameter keep_;  // of the state before
};

class PTuning : public PromptEncoder {
 public:
  PTuning(const PromptSite& site, const PTuningConfig& config)
      : embedding_({site.virtual_tokens, site.width}, {Initializer::Kind::kNormal, 1.0}) {
    const int64_t hidden = site.hidden_size;
    if (config.encoder_reparameterization_type == "LSTM") {
      for (int64_t layer = 0; layer < config.encoder_num_layers; ++layer)
        for (int direction = 0; direction < 2; ++direction)
          lstm_.push_back(std::make_unique<Lstm>(layer == 0 ? site.width : 2 * hidden, hidden));
      dense_.push_back(std::make_unique<Dense>(2 * hidden, 2 * hidden));
      dense_.push_back(std::make_unique<Dense>(2 * hidden, site.width));
    } else {
      dense_.push_back(std::make_unique<Dense>(site.width, hidden));
      dense_.push_back(std::make_unique<Dense>(hidden, hidden));
      dense_.push_back(std::make_unique<Dense>(hidden, site.width));
    }
  }

  static PromptTraits traits(const PromptSite&, const PTuningConfig&) {
    return {.has_encoder = true};
  }

  Var vectors(const Pass& pass) const override {
    Var x = pass.use(embedding_);
    for (size_t i = 0; i < lstm_.size(); i += 2) {
      const std::array both = {ops::transpose(lstm_[i]->run(pass, x, false)),
                               ops::transpose(lstm_[i + 1]->run(pass, x, true))};
      x = ops::transpose(ops::join_rows(both));
    }
    for (size_t i = 0; i < dense_.size(); ++i) {
      if (i > 0) x = ops::activation(kernels::find_activation("relu"), x);
      x = (*dense_[i])(pass, x);
    }
    return x;
  }

  std::string_view kind() const override { return "PTuning"; }
  void visit(ModuleVisitor& v) override {
    v.parameter("embedding", embedding_);
    for (size_t i = 0; i < lstm_.size(); ++i)
      v.child(fmt::format("lstm.{}.{}", i / 2, i % 2 == 0 ? "forwards" : "backwards"), *lstm_[i]);
    for (size_t i = 0; i < dense_.size(); ++i) v.child(fmt::format("dense.{}", i), *dense_[i]);
  }

 private:
  Parameter embedding_;
  std::vector<std::unique_ptr<Lstm>> lstm_;  // of each layer both directions
  std::vector<std::unique_ptr<Dense>> dense_;
};

}  // namespace

PromptKind p_tuning() {
  return prompt_kind<PTuning, PTuningConfig>(
      {.name = "P_TUNING",
       .summary = "vectors before the embedded text that a small network makes",
       .source = "Liu et al. 2021, arXiv:2103.10385"});
}

}  // namespace lathe
