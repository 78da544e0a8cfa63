#include "lathe/infer/speculation/extra_heads.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/ops/pick_rows.h"

namespace lathe {
namespace {

int64_t rows_in(const Tensor& x) { return x.defined() ? x.size(0) : 0; }

// a [n,C] and behind it b; a may be undefined.
Tensor behind(const Tensor& a, const Tensor& b) {
  if (rows_in(a) == 0) return b.clone();
  const Tensor both(b.shape().with(0, a.size(0) + b.size(0)), b.dtype(), b.device());
  both.narrow(0, 0, a.size(0)).copy_from(a);
  both.narrow(0, a.size(0), b.size(0)).copy_from(b);
  return both;
}

// The rows [begin, end) of x, for itself; undefined if there are none.
Tensor part(const Tensor& x, int64_t begin, int64_t end) {
  return end > begin ? x.narrow(0, begin, end - begin).clone() : Tensor();
}

}  // namespace

ExtraHeads::ExtraHeads(const Transformer& model, const EngineOptions& options) : model_(model) {
  const int64_t modules = model.config().num_nextn_predict_layers;
  require(modules > 0, ErrorKind::kData, "speculation",
          "the model has no modules for multi-token prediction: num_nextn_predict_layers is 0, or "
          "their weights are missing; use another way to guess, or train one with them");
  for (int64_t depth = 1; depth <= modules; ++depth) {
    const auto groups = mtp_cache_groups(model, depth);
    caches_.push_back(std::make_unique<PagedCache>(groups, plan_cache(groups, options)));
  }
}

ExtraHeads::~ExtraHeads() = default;

void ExtraHeads::drop(int64_t sequence) {
  const auto found = known_.find(sequence);
  if (found == known_.end()) return;
  for (size_t m = 0; m < caches_.size(); ++m) caches_[m]->close(found->second.modules[m].cache);
  known_.erase(found);
}

void ExtraHeads::forget(int64_t sequence, std::span<const int32_t>) { drop(sequence); }

void ExtraHeads::see(int64_t sequence, int64_t first, const Tensor& hidden) {
  if (hidden.size(0) == 0) return;
  const auto seen = [&](const Known& known) {
    return known.modules[0].end + rows_in(known.modules[0].hidden);
  };
  const auto found = known_.find(sequence);
  if (found != known_.end() && first > seen(found->second)) drop(sequence);
  if (!known_.contains(sequence)) {
    Known fresh{.begin = first, .modules = {}};
    for (const auto& cache : caches_)
      fresh.modules.push_back({.cache = cache->open(), .end = first, .hidden = {}});
    known_.emplace(sequence, std::move(fresh));
  }
  Known& known = known_.at(sequence);
  const int64_t have = seen(known) - first;  // it was computed again
  if (have >= hidden.size(0)) return;
  Progress& progress = known.modules[0];
  progress.hidden = behind(progress.hidden, hidden.narrow(0, have, hidden.size(0) - have));
}

// Whether all but the last token of the text have been seen, and there is room.
bool ExtraHeads::prepare(const Draft& draft) {
  const auto found = known_.find(draft.sequence);
  if (found == known_.end()) return false;
  Known& known = found->second;
  const int64_t end = std::ssize(draft.text) - 1;
  if (known.modules[0].end + rows_in(known.modules[0].hidden) != end) return false;
  const int64_t depth = std::min<int64_t>(draft.most, std::ssize(known.modules));
  for (int64_t m = 0; m < depth; ++m) {
    const Progress& progress = known.modules[static_cast<size_t>(m)];
    if (caches_[static_cast<size_t>(m)]->reserve(progress.cache, end - progress.end)) continue;
    drop(draft.sequence);
    return false;
  }
  return true;
}

void ExtraHeads::guess(std::span<Draft> drafts) {
  std::vector<Draft*> open;
  for (Draft& draft : drafts)
    if (prepare(draft)) open.push_back(&draft);
  for (size_t m = 0; m < caches_.size() && !open.empty(); ++m) {
    guess_with(m, open);
    std::erase_if(open, [](const Draft* draft) {
      return std::ssize(draft->guesses) >= draft->most || draft->chooser.finished();
    });
  }
  for (const Draft& draft : drafts)
    if (known_.contains(draft.sequence)) forget_guesses(draft.sequence);
}

// Module number m + 1 computes the tokens up to the last but one, of which the last m see guesses.
void ExtraHeads::guess_with(size_t m, std::span<Draft* const> drafts) {
  const auto depth = static_cast<int64_t>(m) + 1;
  PagedCache& cache = *caches_[m];
  IdRows ahead;
  std::vector<int64_t> context;
  std::vector<int32_t> positions;
  std::vector<PagedCache::Id> ids;
  Tensor hidden;
  for (const Draft* draft : drafts) {
    const Known& known = known_.at(draft->sequence);
    const Progress& progress = known.modules[m];
    const std::vector<int32_t> text = joined(draft->text, draft->guesses);
    const int64_t end = std::ssize(draft->text) - 1;
    ahead.emplace_back(text.begin() + progress.end + depth, text.begin() + end + depth);
    for (int64_t i = progress.end; i < end; ++i) positions.push_back(static_cast<int32_t>(i));
    context.push_back(progress.end - known.begin);
    ids.push_back(progress.cache);
    hidden = behind(hidden, progress.hidden);
  }
  Rows rows = Rows::of(ahead);
  rows.context = std::move(context);
  rows.positions = Tensor::of<int32_t>(positions, {std::ssize(positions)});
  cache.begin_pass(std::move(ids));
  const Pass pass{.cache = &cache};
  const Tensor out = model_.mtp_hidden({&pass, &rows, Rng(0)}, depth, Var(hidden), rows.ids).value;
  cache.end_pass(rows);
  const Tensor logits =
      model_.logits(pass, Var(last_rows(out, rows.sequences))).value.to(DType::kF32);
  for (size_t b = 0; b < drafts.size(); ++b) {
    const auto row = static_cast<int64_t>(b);
    settle(*drafts[b], m, out.narrow(0, rows.sequences.first(row), rows.sequences.length(row)));
    Draft& draft = *drafts[b];
    const std::vector<int32_t> text = joined(draft.text, draft.guesses);
    draft.guesses.push_back(draft.chooser.next(logits.narrow(0, row, 1).span<float>(),
                                               std::span(text).subspan(draft.begin)));
  }
}

// Keeps what module m + 1 computed from tokens that are certain, and hands its states `out` of the
// tokens from progress.end on to the next one.
void ExtraHeads::settle(const Draft& draft, size_t m, const Tensor& out) {
  Known& known = known_.at(draft.sequence);
  Progress& progress = known.modules[m];
  const int64_t last = std::ssize(draft.text) - 1;
  const int64_t certain = std::max(progress.end, last - static_cast<int64_t>(m));
  caches_[m]->truncate(progress.cache, certain - known.begin);
  progress.hidden = part(progress.hidden, certain - progress.end, last - progress.end);
  progress.end = certain;
  if (m + 1 == known.modules.size()) return;
  Progress& next = known.modules[m + 1];
  next.hidden = behind(next.hidden, out);
}

// Between calls a module keeps the states of certain tokens alone.
void ExtraHeads::forget_guesses(int64_t sequence) {
  Known& known = known_.at(sequence);
  for (size_t m = 1; m < known.modules.size(); ++m) {
    Progress& progress = known.modules[m];
    progress.hidden = part(progress.hidden, 0, known.modules[m - 1].end - progress.end);
  }
}

}  // namespace lathe
