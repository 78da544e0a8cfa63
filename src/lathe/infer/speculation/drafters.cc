#include "lathe/infer/speculation/drafters.h"

#include "lathe/infer/speculation/extra_heads.h"
#include "lathe/infer/speculation/ngram_table.h"
#include "lathe/infer/speculation/prompt_lookup.h"

namespace lathe {
namespace {

using Made = std::unique_ptr<Drafter>;

constexpr DrafterInfo kTable[] = {
    {"lookup", "what followed the same last tokens earlier in the text", "arXiv:2304.04487",
     [](const Transformer&, const EngineOptions&) -> Made {
       return std::make_unique<PromptLookup>();
     }},
    {"ngram", "what followed the same last tokens in any text", "arXiv:2402.02057",
     [](const Transformer&, const EngineOptions&) -> Made {
       return std::make_unique<NgramTable>();
     }},
    {"heads", "what the model's modules for multi-token prediction say", "arXiv:2412.19437",
     [](const Transformer& model, const EngineOptions& options) -> Made {
       return std::make_unique<ExtraHeads>(model, options);
     }},
};

}  // namespace

const std::span<const DrafterInfo> kDrafters = kTable;

}  // namespace lathe
