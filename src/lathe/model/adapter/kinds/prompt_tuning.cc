// Prompt tuning: trained vectors before the embedded text (Lester et al. 2021, arXiv:2104.08691).
#include <string>

#include "lathe/base/error.h"
#include "lathe/model/adapter/prompt_encoder.h"

namespace lathe {
namespace {

struct PromptTuningConfig {
  std::string prompt_tuning_init = "RANDOM";

  void visit(Visitor& v) {
    v.choice("prompt_tuning_init", prompt_tuning_init, {"RANDOM", "SAMPLE_VOCAB"},
             "where the vectors begin: drawn, or those of drawn tokens");
  }
};

class PromptTuning : public PromptEncoder {
 public:
  PromptTuning(const PromptSite& site, const PromptTuningConfig& config)
      : site_(site),
        samples_(config.prompt_tuning_init == "SAMPLE_VOCAB"),
        vectors_({site.virtual_tokens, site.width}, {Initializer::Kind::kNormal, 1.0}) {}

  static PromptTraits traits(const PromptSite&, const PromptTuningConfig&) { return {}; }

  Var vectors(const Pass& pass) const override { return pass.use(vectors_); }
  std::string_view kind() const override { return "PromptTuning"; }
  void visit(ModuleVisitor& v) override { v.parameter("prompt_embeddings", vectors_); }

  void start(const Rng& rng) override {
    if (!samples_) return PromptEncoder::start(rng);
    const Rng tokens = rng.fork("tokens");
    for (int64_t i = 0; i < site_.virtual_tokens; ++i) {
      const auto id = static_cast<int64_t>(
          tokens.below(static_cast<uint64_t>(i), static_cast<uint64_t>(site_.table.size(0))));
      vectors_.value.tensor().narrow(0, i, 1).copy_from(site_.table.narrow(0, id, 1));
    }
  }

 private:
  PromptSite site_;
  bool samples_;
  Parameter vectors_;
};

}  // namespace

PromptKind prompt_tuning() {
  return prompt_kind<PromptTuning, PromptTuningConfig>(
      {.name = "PROMPT_TUNING",
       .summary = "trained vectors before the embedded text",
       .source = "Lester et al. 2021, arXiv:2104.08691"});
}

}  // namespace lathe
