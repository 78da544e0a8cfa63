#include "lathe/train/task/answer_data.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "lathe/train/sample_source.h"

namespace lathe {
namespace {

int64_t length_of(const Example& example) {
  int64_t tokens = std::ssize(example.prompt);
  for (const Answer& answer : example.answers) tokens += std::ssize(answer.ids);
  return tokens;
}

std::vector<Pack> one_each(const std::vector<Example>& examples) {
  std::vector<Pack> packs;
  for (const Example& example : examples) packs.push_back({&example});
  return packs;
}

}  // namespace

std::vector<Pack> pack_examples(const std::vector<Example>& examples, int64_t seq_len) {
  std::vector<size_t> order(examples.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return length_of(examples[i]); });
  std::vector<std::vector<size_t>> packs;
  std::set<std::pair<int64_t, size_t>> open;  // room, and the pack that has it
  for (const size_t i : order) {
    const int64_t length = length_of(examples[i]);
    auto found = open.lower_bound({length, 0});
    size_t pack = packs.size();
    int64_t room = seq_len;
    if (found != open.end()) {
      room = found->first;
      pack = found->second;
      open.erase(found);
    } else {
      packs.emplace_back();
    }
    packs[pack].push_back(i);
    if (room > length) open.insert({room - length, pack});
  }
  for (auto& pack : packs) std::ranges::sort(pack);
  std::ranges::sort(packs);
  std::vector<Pack> result;
  for (const auto& pack : packs) {
    Pack& made = result.emplace_back();
    for (const size_t i : pack) made.push_back(&examples[i]);
  }
  return result;
}

ExampleOptions example_options(const Recipe& recipe, ExampleKind kind,
                               std::optional<int64_t> rows) {
  return {.kind = kind,
          .tokenizer = recipe.tokenizer(),
          .vocab_size = recipe.model.vocab_size,
          .eos_token_id = recipe.model.eos_token_id,
          .encoder = recipe.model.body_traits().encoder,
          .mask_history = recipe.data.mask_history,
          .step_separator = recipe.data.step_separator,
          .seq_len = recipe.train.seq_len,
          .truncation = recipe.data.truncation_mode,
          .rows = rows};
}

std::shared_ptr<const ExampleSet> examples_for(const TrainCallbacks& callbacks,
                                               const std::vector<std::string>& files,
                                               const ExampleOptions& options) {
  if (callbacks.read_examples) return callbacks.read_examples(files, options, callbacks.log);
  return std::make_shared<const ExampleSet>(read_examples(files, options, callbacks.log));
}

AnswerData::AnswerData(const Recipe& recipe, std::shared_ptr<const ExampleSet> set)
    : set_(std::move(set)),
      packs_(recipe.data.packing ? pack_examples(set_->examples, recipe.train.seq_len)
                                 : one_each(set_->examples)),
      batch_size_(recipe.train.batch_size),
      micro_batches_(recipe.train.grad_accumulation),
      shuffle_(recipe.data.order == "shuffle"),
      seed_(static_cast<uint64_t>(recipe.train.seed)) {}

const Pack& AnswerData::pack_at(int64_t position) const {
  const int64_t epoch = position / size(), within = position % size();
  if (!shuffle_) return packs_[static_cast<size_t>(within)];
  const Rng rng = Rng(seed_).fork("rows").fork(static_cast<uint64_t>(epoch));
  return packs_[static_cast<size_t>(permuted(rng, within, size()))];
}

std::vector<std::vector<const Example*>> AnswerData::micro_batches(int64_t step) const {
  std::vector<std::vector<const Example*>> all;
  for (int64_t micro = (step - 1) * micro_batches_; micro < step * micro_batches_; ++micro) {
    auto& examples = all.emplace_back();
    for (int64_t row = 0; row < batch_size_; ++row) {
      const Pack& pack = pack_at(micro * batch_size_ + row);
      examples.insert(examples.end(), pack.begin(), pack.end());
    }
  }
  return all;
}

std::vector<const Example*> AnswerData::packs(int64_t first, int64_t count) const {
  std::vector<const Example*> examples;
  for (int64_t i = first; i < std::min(first + count, size()); ++i) {
    const Pack& pack = packs_[static_cast<size_t>(i)];
    examples.insert(examples.end(), pack.begin(), pack.end());
  }
  return examples;
}

}  // namespace lathe
