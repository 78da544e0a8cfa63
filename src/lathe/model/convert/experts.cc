// Sparse upcycling (Komatsuzaki et al. 2022, arXiv:2212.05055): every dense feed-forward layer
// becomes E experts that all begin as that layer, with a fresh router. The weights of a token's
// experts are divided by their sum, so the model computes what it did before; training then lets
// the experts part.

#include <fmt/ranges.h>

#include <map>

#include "lathe/base/error.h"
#include "lathe/base/rng.h"
#include "lathe/model/components.h"
#include "lathe/model/convert/conversion.h"
#include "lathe/nn/moe/moe.h"

namespace lathe {
namespace {

constexpr int64_t kDefaultExpertsPerToken = 2;

constexpr std::string_view kRouter = ".ffn.router.weight";

using ByName = std::map<std::string, Parameter*>;
ByName parameters_by_name(Transformer& model) {
  ByName all;
  for (Parameter* p : model.parameters()) all[p->name] = p;
  return all;
}

// The feed-forward layer of the block called `block` ("layers.3", "encoder.layers.3") around the
// parameters that the model has there: the same tensors. All layers have one shape, before and
// after, so it is made as that of the first.
std::unique_ptr<FeedForward> ffn_around(const ModelConfig& config, const ByName& parameters,
                                        const std::string& block) {
  auto ffn = make_ffn(config, main_stack(config), 0);
  for_each_parameter(*ffn, [&](const std::string& path, Parameter& p) {
    p.value = parameters.at(block + ".ffn." + path)->value;
  });
  return ffn;
}

class ExpertsConversion : public Conversion {
 public:
  explicit ExpertsConversion(const ConversionOptions& options)
      : experts_(*options.experts),
        per_token_(options.experts_per_token.value_or(kDefaultExpertsPerToken)),
        seed_(static_cast<uint64_t>(options.seed)) {}

  ModelConfig config(const ModelConfig& from) const override {
    require(!from.moe.enabled(), ErrorKind::kConfig, "--experts",
            "the model already has {} experts; only a dense model can be upcycled",
            from.moe.num_experts);
    require(ffn_traits(from).expert, ErrorKind::kConfig, "--experts",
            "the model's feed-forward layers are {}, but experts are {}", from.ffn.kind,
            fmt::join(expert_names(), " or "));
    require(per_token_ <= experts_, ErrorKind::kConfig, "--experts-per-token",
            "a token cannot use {} of {} experts", per_token_, experts_);
    ModelConfig to = from;
    to.moe = {};
    to.moe.num_experts = experts_;
    to.moe.num_experts_per_tok = per_token_;
    to.moe.norm_topk_prob = true;
    to.moe.expert = from.ffn.kind;
    to.moe.moe_intermediate_size = from.ffn_width();
    return to;
  }

  void fill(Transformer& from, Transformer& to) const override {
    to.initialize(Rng(seed_));  // of which only the routers stay
    carry_over(from, to, [](const Parameter*, Parameter& fresh) {
      return fresh.name.find(".ffn.experts.") != std::string::npos ||
             fresh.name.find(".ffn.router.") != std::string::npos;
    });
    const ByName dense = parameters_by_name(from), sparse = parameters_by_name(to);
    for (const auto& [name, parameter] : sparse) {
      if (!name.ends_with(kRouter)) continue;
      const std::string block = name.substr(0, name.size() - kRouter.size());
      upcycle(*ffn_around(to.config(), sparse, block), *ffn_around(from.config(), dense, block));
    }
  }

  std::string note(const ModelConfig&) const override {
    return "every expert is a copy of the dense layer, so the model's output is as before until "
           "they are trained";
  }

 private:
  int64_t experts_, per_token_;
  uint64_t seed_;
};

}  // namespace

std::unique_ptr<Conversion> make_experts_conversion(const ConversionOptions& options) {
  if (!options.experts) return nullptr;
  return std::make_unique<ExpertsConversion>(options);
}

}  // namespace lathe
