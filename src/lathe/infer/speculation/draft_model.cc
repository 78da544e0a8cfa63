#include "lathe/infer/speculation/draft_model.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/base/printable.h"
#include "lathe/model/model_pass.h"
#include "lathe/nn/position/rope.h"
#include "lathe/ops/pick_rows.h"

namespace lathe {
namespace {

const Transformer& checked(const Transformer& draft) {
  const Body body = draft.config().body_traits();
  require(body.causal && !body.encoder && !body.prefix && !tokens_compete(draft.config()),
          ErrorKind::kData, "draft",
          "body \"{}\" cannot guess for another model{}; take a plain decoder", draft.config().body,
          tokens_compete(draft.config()) ? " when tokens compete for its experts" : "");
  require(!moves_tokens(draft), ErrorKind::kData, "draft",
          "its positions depend on the length of the text (rotary scaling \"{}\"), so that what it "
          "has read cannot be kept; take a draft without that",
          draft.config().position.get<RopeConfig>().scaling.kind);
  return draft;
}

EngineOptions in_its_own_type(EngineOptions options) {
  options.cache_precision.reset();
  return options;
}

}  // namespace

DraftModel::DraftModel(const Transformer& draft, const EngineOptions& options)
    : model_(checked(draft)),
      token_budget_(options.token_budget),
      cache_(make_cache(draft, in_its_own_type(options))) {}

bool DraftModel::fits(const Draft& draft) const {
  const int64_t length = std::ssize(draft.text) + draft.most;
  const auto known = [&](int32_t id) { return id < model_.config().vocab_size; };
  return length <= model_.longest_text().value_or(length) && std::ranges::all_of(draft.text, known);
}

void DraftModel::drop(int64_t sequence) {
  const auto found = known_.find(sequence);
  if (found == known_.end()) return;
  cache_.close(found->second.cache);
  known_.erase(found);
}

void DraftModel::forget(int64_t sequence, std::span<const int32_t>) { drop(sequence); }

// Takes back what did not come true, and room for the rest of the text and its guesses: all of it at
// once, because only before the first guess is it certain which tokens a window has left behind.
bool DraftModel::prepare(const Draft& draft) {
  if (!fits(draft)) return false;
  if (!known_.contains(draft.sequence)) known_[draft.sequence] = {cache_.open(), {}};
  Known& known = known_.at(draft.sequence);
  const auto& text = draft.text;
  const auto [mine, theirs] = std::ranges::mismatch(known.tokens, text);
  const int64_t held = std::min<int64_t>(mine - known.tokens.begin(), std::ssize(text) - 1);
  cache_.truncate(known.cache, held);
  known.tokens.resize(static_cast<size_t>(held));
  const int64_t rest = std::ssize(text) + draft.most - 1 - held;
  if (cache_.reserve(known.cache, rest)) return true;
  drop(draft.sequence);
  return false;
}

// One pass over so many more tokens of each text; the hidden states of the last ones, [B,C].
Tensor DraftModel::compute(std::span<Draft* const> drafts, int64_t most) {
  IdRows parts;
  std::vector<int64_t> context;
  std::vector<PagedCache::Id> ids;
  for (const Draft* draft : drafts) {
    Known& known = known_.at(draft->sequence);
    const std::vector<int32_t> text = joined(draft->text, draft->guesses);
    const int64_t held = std::ssize(known.tokens), count = std::min(most, std::ssize(text) - held);
    parts.emplace_back(text.begin() + held, text.begin() + held + count);
    known.tokens.insert(known.tokens.end(), parts.back().begin(), parts.back().end());
    context.push_back(held);
    ids.push_back(known.cache);
  }
  ModelInputs inputs{.rows = Rows::of(parts)};
  inputs.rows.context = std::move(context);
  cache_.begin_pass(std::move(ids));
  ModelPass pass(model_, {.cache = &cache_});
  const Tensor hidden = pass.hidden(inputs).value;
  cache_.end_pass(inputs.rows);
  return last_rows(hidden, inputs.rows.sequences);
}

void DraftModel::guess(std::span<Draft> drafts) {
  std::vector<Draft*> open;
  for (Draft& draft : drafts)
    if (prepare(draft)) open.push_back(&draft);
  for (Draft* draft : open)  // a prompt that has not been read
    while (std::ssize(draft->text) - std::ssize(known_.at(draft->sequence).tokens) > token_budget_)
      compute({&draft, 1}, token_budget_);
  while (!open.empty()) {
    const Tensor hidden = compute(open, token_budget_);
    const Tensor logits = ModelPass(model_, {}).logits(Var(hidden)).value.to(DType::kF32);
    for (size_t i = 0; i < open.size(); ++i) {
      const std::vector<int32_t> text = joined(open[i]->text, open[i]->guesses);
      open[i]->guesses.push_back(
          open[i]->chooser.next(logits.narrow(0, static_cast<int64_t>(i), 1).span<float>(),
                                std::span(text).subspan(open[i]->begin)));
    }
    std::erase_if(open, [](const Draft* draft) {
      return std::ssize(draft->guesses) >= draft->most || draft->chooser.finished();
    });
  }
}

std::string why_not_a_draft(std::span<const std::string> draft,
                            std::span<const std::string> model) {
  const size_t both = std::min(draft.size(), model.size());
  for (size_t id = 0; id < both; ++id)
    if (draft[id] != model[id])
      return fmt::format("token {} is {} in its vocabulary and {} in the model's", id,
                         printable(draft[id]), printable(model[id]));
  if (draft.size() != model.size())
    return fmt::format("its vocabulary has {} tokens and the model's {}", draft.size(),
                       model.size());
  return {};
}

}  // namespace lathe
