#include "lathe/cli/commands/model/speculation_options.h"

#include <algorithm>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/infer/speculation/draft_model.h"
#include "lathe/infer/speculation/drafters.h"
#include "lathe/text/tokenizer.h"

namespace lathe {
namespace {

std::vector<std::string> tokens_of(const Tokenizer& tokenizer) {
  std::vector<std::string> tokens(static_cast<size_t>(tokenizer.vocab_size()));
  for (size_t id = 0; id < tokens.size(); ++id)
    if (tokenizer.has(static_cast<int64_t>(id)))
      tokens[id] = tokenizer.token_bytes(static_cast<int32_t>(id));
  return tokens;
}

// Texts are compared where both have a tokenizer; ids alone must at least be of one range.
void check_vocabularies(const std::string& draft, const Transformer& small,
                        const std::string& model, const Transformer& large) {
  constexpr std::string_view kAdvice =
      "{}; give a draft that was trained with the same tokenizer, or --speculate lookup";
  if (has_tokenizer(draft) && has_tokenizer(model)) {
    const std::string why =
        why_not_a_draft(tokens_of(load_tokenizer(draft)), tokens_of(load_tokenizer(model)));
    require(why.empty(), ErrorKind::kData, draft, kAdvice, why);
  } else {
    require(small.config().vocab_size == large.config().vocab_size, ErrorKind::kData, draft,
            kAdvice,
            fmt::format("its vocabulary has {} tokens and the model's {}",
                        small.config().vocab_size, large.config().vocab_size));
  }
}

}  // namespace

void SpeculationOptions::visit(Visitor& v) {
  std::vector<std::string> names = {"none"};
  std::string help =
      "guess further tokens and check them in one pass, which changes the speed and no token";
  for (const DrafterInfo& drafter : kDrafters) {
    names.emplace_back(drafter.name);
    help += fmt::format("; {}: {}", drafter.name, drafter.summary);
  }
  v.choice("speculate", speculate, names, help);
  v.field("draft", draft,
          "folder or .gguf of a smaller model with the same tokenizer that guesses");
  v.field("draft_tokens", draft_tokens, "guesses in a pass, at most", between(1, 64));
}

Speculation SpeculationOptions::load(const std::string& path, const Transformer& model, DType dtype,
                                     QuantisedWeights weights, const Log& log) const {
  require(!draft || speculate == "none", ErrorKind::kUsage, "--draft",
          "and --speculate {} are two ways to guess; give one of them", speculate);
  Speculation out{.draft_tokens = draft_tokens};
  if (draft) {
    std::shared_ptr<const Transformer> small = load_for_inference(*draft, dtype, log, weights);
    check_vocabularies(*draft, *small, path, model);
    out.make = [small](const EngineOptions& o) { return std::make_unique<DraftModel>(*small, o); };
  } else if (speculate != "none") {
    const DrafterInfo& drafter = find_in(kDrafters, "--speculate", speculate);
    out.make = [&](const EngineOptions& o) { return drafter.make(model, o); };
  }
  return out;
}

std::string describe_guesses(int64_t guessed, int64_t accepted, int64_t new_tokens,
                             int64_t passes) {
  return fmt::format("speculation: {} of {} guesses were right, {:.2f} tokens a pass", accepted,
                     guessed, static_cast<double>(new_tokens) / static_cast<double>(passes));
}

}  // namespace lathe
