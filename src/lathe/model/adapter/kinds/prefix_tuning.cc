// Prefix tuning: keys and values before those of the text, in every layer (Li & Liang 2021,
// arXiv:2101.00190), trained themselves or made by a small network.
#include <optional>

#include "lathe/model/adapter/prompt_encoder.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

struct PrefixConfig {
  bool prefix_projection = false;

  void visit(Visitor& v) {
    v.field("prefix_projection", prefix_projection, "a small network makes the keys and values");
  }
};

class PrefixTuning : public PromptEncoder {
 public:
  PrefixTuning(const PromptSite& site, const PrefixConfig& config)
      : projects_(config.prefix_projection),
        embedding_({site.virtual_tokens, projects_ ? site.width : site.layers * 2 * site.width},
                   {Initializer::Kind::kNormal, 1.0}) {
    if (!projects_) return;
    first_.emplace(site.width, site.hidden_size);
    second_.emplace(site.hidden_size, site.layers * 2 * site.width);
  }

  static PromptTraits traits(const PromptSite&, const PrefixConfig& config) {
    return {.is_prefix = true, .has_encoder = config.prefix_projection};
  }

  Var vectors(const Pass& pass) const override {
    const Var x = pass.use(embedding_);
    if (!projects_) return x;
    return (*second_)(pass, ops::activation(kernels::find_activation("tanh"), (*first_)(pass, x)));
  }

  std::string_view kind() const override { return "PrefixTuning"; }
  void visit(ModuleVisitor& v) override {
    v.parameter(projects_ ? "embedding" : "prompt_embeddings", embedding_);
    if (first_) v.child("dense.0", *first_);
    if (second_) v.child("dense.1", *second_);
  }

 private:
  bool projects_;
  Parameter embedding_;
  std::optional<Dense> first_, second_;
};

}  // namespace

PromptKind prefix_tuning() {
  return prompt_kind<PrefixTuning, PrefixConfig>(
      {.name = "PREFIX_TUNING",
       .summary = "trained keys and values before those of the text, in every layer",
       .source = "Li & Liang 2021, arXiv:2101.00190"});
}

}  // namespace lathe
