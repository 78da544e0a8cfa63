#include "lathe/infer/text_likelihood.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/infer/cache_plan.h"
#include "lathe/model/model_pass.h"
#include "lathe/ops/common.h"
#include "lathe/ops/log_sum_exp.h"
#include "lathe/ops/pick_rows.h"

namespace lathe {
namespace {

constexpr int64_t kHeadRows = 128;  // whose logits exist at once

// What the model reads of a text: all but its last token.
std::span<const int32_t> inputs_of(const ScoredText& text) {
  return std::span(text.tokens).first(text.tokens.size() - 1);
}

int64_t common_length(std::span<const int32_t> a, std::span<const int32_t> b) {
  return std::ranges::mismatch(a, b).in1 - a.begin();
}

std::vector<size_t> sorted(std::span<const ScoredText> texts) {
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, [&](size_t a, size_t b) {
    const auto x = inputs_of(texts[a]), y = inputs_of(texts[b]);
    return std::ranges::equal(x, y) ? a < b : std::ranges::lexicographical_compare(x, y);
  });
  return order;
}

int32_t likeliest(std::span<const float> logits) {
  return static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());
}

}  // namespace

double TextLikelihood::sum() const {
  return std::accumulate(logprobs.begin(), logprobs.end(), 0.0);
}

// A scored token, and the row of `hidden` that predicts it.
struct TextLikelihoods::Target {
  int64_t row = 0;
  size_t text = 0, token = 0;  // token: its number in the text
};

// Some texts as a tree, computed level by level: all nodes of a level continue what the level before left in the cache.
class TextLikelihoods::Window {
 public:
  // `order`: these texts, sorted by their tokens.
  Window(TextLikelihoods& of, PagedCache& cache, std::span<const ScoredText> texts,
         std::span<const size_t> order)
      : of_(of), cache_(cache), texts_(texts) {
    grow(order, 0, kRoot);
  }

  void run(const std::function<void()>& before_each, std::vector<TextLikelihood>& results) {
    for (size_t level = 0; level < levels_.size(); ++level) {
      open(level);
      for (size_t next = 0; next < levels_[level].size();) {
        if (before_each) before_each();
        run_pass(levels_[level], next, results);
      }
    }
    if (!levels_.empty()) close(levels_.back());
  }

 private:
  static constexpr size_t kRoot = static_cast<size_t>(-1);
  struct Node {
    size_t parent, text;          // a text that runs through it
    int64_t begin, end;           // its tokens in that text
    std::vector<Target> targets;  // `row` is the number of a token in the text
    PagedCache::Id cache = -1;
  };
  struct Part {
    Node* node;
    int64_t begin, end;
  };

  // The node of what these texts have in common from `depth` on, and those below it.
  void grow(std::span<const size_t> order, int64_t depth, size_t parent, size_t level = 0) {
    const auto first = inputs_of(texts_[order.front()]), last = inputs_of(texts_[order.back()]);
    const int64_t end = common_length(first, last);
    if (end > depth) {
      if (levels_.size() == level) levels_.emplace_back();
      levels_[level++].push_back(nodes_.size());
      nodes_.push_back(
          {.parent = parent, .text = order.front(), .begin = depth, .end = end, .targets = {}});
      parent = nodes_.size() - 1;
      for (const size_t text : order) add_targets(nodes_.back(), text);
    }
    const auto token = [&](size_t text) { return texts_[text].tokens[static_cast<size_t>(end)]; };
    // The shortest texts come first and may end here.
    const auto ends = [&](size_t text) { return std::ssize(inputs_of(texts_[text])) == end; };
    auto begin = std::ranges::find_if_not(order, ends);
    while (begin != order.end()) {
      const auto next = std::find_if(begin, order.end(),
                                     [&](size_t text) { return token(text) != token(*begin); });
      grow({begin, next}, end, parent, level);
      begin = next;
    }
  }

  void add_targets(Node& node, size_t text) const {
    const auto size = std::ssize(texts_[text].tokens);
    for (int64_t t = std::max(texts_[text].context, node.begin + 1); t < size && t <= node.end; ++t)
      node.targets.push_back({.row = t - 1, .text = text, .token = static_cast<size_t>(t)});
  }

  std::span<const int32_t> tokens_to(const Node& node, int64_t end) const {
    return std::span(texts_[node.text].tokens).first(static_cast<size_t>(end));
  }

  void open(size_t level) {
    for (const size_t n : levels_[level]) {
      Node& node = nodes_[n];
      if (node.parent != kRoot) {
        node.cache = cache_.fork(nodes_[node.parent].cache);
        continue;
      }
      node.cache = cache_.open();
      int64_t most = node.end;
      for (const Target& target : node.targets) most = std::min(most, target.row);
      cache_.adopt(node.cache, tokens_to(node, node.end), most);
    }
    if (level > 0) close(levels_[level - 1]);
  }

  void close(std::span<const size_t> nodes) {
    for (const size_t n : nodes) cache_.close(nodes_[n].cache);
  }

  // As many tokens as a pass takes, from node number `next` of the level on.
  std::vector<Part> parts_from(std::span<const size_t> level, size_t& next) {
    std::vector<Part> parts;
    int64_t room = of_.options_.pass_tokens;
    while (next < level.size() && room > 0) {
      Node& node = nodes_[level[next]];
      const int64_t begin = cache_.length(node.cache);
      const int64_t end = std::min(node.end, begin + room);
      if (end > begin) parts.push_back({&node, begin, end});
      room -= end - begin;
      if (end < node.end) break;
      ++next;
    }
    return parts;
  }

  void run_pass(std::span<const size_t> level, size_t& next, std::vector<TextLikelihood>& results) {
    const std::vector<Part> parts = parts_from(level, next);
    if (parts.empty()) return;  // all was known
    IdRows ids;
    std::vector<PagedCache::Id> caches;
    std::vector<int64_t> context;
    for (const Part& part : parts) {
      const auto text = tokens_to(*part.node, part.end);
      ids.emplace_back(text.begin() + part.begin, text.end());
      context.push_back(part.begin);
      caches.push_back(part.node->cache);
      if (!cache_.reserve(part.node->cache, part.end - part.begin))
        throw std::logic_error("the planned cache is too small");
    }
    Rows rows = Rows::of(ids);
    rows.context = context;
    cache_.begin_pass(std::move(caches));
    const auto adapters = of_.acting_on(rows.sequences);
    ModelPass pass(of_.model_, {.cache = &cache_, .adapters = adapters.get()});
    const Tensor hidden = pass.hidden({.rows = rows}).value;
    cache_.end_pass(rows);
    of_.computed_ += rows.tokens();
    for (const Part& part : parts)
      if (part.node->parent == kRoot)
        cache_.publish(part.node->cache, tokens_to(*part.node, part.end));
    of_.take(hidden, targets_of(parts, rows), texts_, results);
  }

  // With rows of the pass.
  static std::vector<Target> targets_of(std::span<const Part> parts, const Rows& rows) {
    std::vector<Target> all;
    for (size_t b = 0; b < parts.size(); ++b) {
      const Part& part = parts[b];
      for (Target target : part.node->targets) {
        if (target.row < part.begin || target.row >= part.end) continue;
        target.row += rows.sequences.first(static_cast<int64_t>(b)) - part.begin;
        all.push_back(target);
      }
    }
    return all;
  }

  TextLikelihoods& of_;
  PagedCache& cache_;
  std::span<const ScoredText> texts_;
  std::vector<Node> nodes_;
  std::vector<std::vector<size_t>> levels_;
};

TextLikelihoods::TextLikelihoods(const Transformer& model, const LikelihoodOptions& options)
    : model_(model), options_(options), shares_(why_prefixes_are_not_shared(model).empty()) {
  const ModelConfig& c = model.config();
  require(
      c.body_traits().causal, ErrorKind::kData, "likelihood",
      "body \"{}\" predicts hidden tokens in place and gives a text no probability; take a decoder",
      c.body);
  require(c.lm_head && c.num_labels == 0, ErrorKind::kData, "likelihood",
          "the model has {} and predicts no tokens; take a language model",
          c.lm_head ? "scores in place of an output head" : "no output head");
  require(!c.body_traits().encoder || c.decoder_start(), ErrorKind::kConfig,
          "decoder_start_token_id",
          "config.json sets neither this nor pad_token_id; the decoder needs an id to start with");
}
TextLikelihoods::~TextLikelihoods() = default;

std::unique_ptr<RowAdapters> TextLikelihoods::acting_on(const Sequences& rows,
                                                        const Sequences* text) const {
  if (options_.adaptation.empty()) return nullptr;
  return std::make_unique<RowAdapters>(
      std::vector(static_cast<size_t>(rows.count()), options_.adaptation), rows, text);
}

void TextLikelihoods::check(std::span<const ScoredText> texts) const {
  const auto most = model_.longest_text();
  const int64_t vocabulary = model_.config().vocab_size;
  for (const ScoredText& text : texts) {
    const auto size = std::ssize(text.tokens);
    require(text.context >= 1 && text.context < size, ErrorKind::kData, "likelihood",
            "a text of {} tokens is scored from number {} on, expected at least one token before "
            "that and one from there on",
            size, text.context);
    for (const int32_t id : text.tokens)
      require(id >= 0 && id < vocabulary, ErrorKind::kData, "likelihood",
              "token {} is outside the vocabulary of {}; the tokenizer must be the model's own", id,
              vocabulary);
    require(!most || size - 1 <= *most, ErrorKind::kData, "likelihood",
            "a text of {} tokens, but the model reads at most {}", size - 1, most.value_or(0));
  }
}

void TextLikelihoods::make_cache_for(int64_t tokens) {
  if (cache_ && tokens <= held_) return;
  held_ = tokens;
  const EngineOptions options{.cache_tokens = held_,
                              .token_budget = options_.pass_tokens,
                              .max_sequences = held_ / 16 + 1,
                              .commit_memory = false};
  require_memory(model_, options, "take shorter texts");
  const auto groups = groups_of(model_, options);
  cache_ = std::make_unique<PagedCache>(groups, plan_cache(groups, options));
}

std::vector<TextLikelihood> TextLikelihoods::of(std::span<const ScoredText> texts,
                                                const std::function<void()>& before_each) {
  check(texts);
  std::vector<TextLikelihood> results(texts.size());
  for (size_t i = 0; i < texts.size(); ++i)
    results[i].logprobs.resize(texts[i].tokens.size() - static_cast<size_t>(texts[i].context));
  if (shares_) {
    run_windows(texts, before_each, results);
    return results;
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    if (before_each) before_each();
    results[i] = alone(texts[i]);
  }
  return results;
}

// Neighbours in the order of their tokens share most, so that a window is a stretch of it.
void TextLikelihoods::run_windows(std::span<const ScoredText> texts,
                                  const std::function<void()>& before_each,
                                  std::vector<TextLikelihood>& results) {
  const std::vector<size_t> order = sorted(texts);
  // A node takes its tokens and, at either end, blocks that it cannot share.
  constexpr int64_t kUnshared = 4 * 16;
  const auto cost = [&](size_t i, bool first) {
    const auto inputs = inputs_of(texts[order[i]]);
    return std::ssize(inputs) + kUnshared -
           (first ? 0 : common_length(inputs_of(texts[order[i - 1]]), inputs));
  };
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    int64_t held = cost(begin, true);
    for (end = begin + 1; end < order.size() && held + cost(end, false) <= options_.cache_tokens;
         ++end)
      held += cost(end, false);
    make_cache_for(std::max(held, options_.cache_tokens));
    // What an error leaves open goes with the cache.
    std::unique_ptr<PagedCache> cache = std::move(cache_);
    Window window(*this, *cache, texts, std::span(order).subspan(begin, end - begin));
    window.run(before_each, results);
    cache_ = std::move(cache);
  }
}

// One pass over the whole text, without a cache.
TextLikelihood TextLikelihoods::alone(const ScoredText& text) {
  const Body body = model_.config().body_traits();
  const auto inputs = inputs_of(text);
  std::vector<int32_t> read(inputs.begin(), inputs.end());
  ModelInputs of{};
  int64_t skipped = 0;  // tokens of the text before the first row
  if (body.encoder) {
    skipped = text.context - 1;
    of.text = Rows::of(IdRows{{text.tokens.begin(), text.tokens.begin() + text.context}});
    read.assign(inputs.begin() + skipped, inputs.end());
    read.front() = static_cast<int32_t>(*model_.config().decoder_start());
  }
  of.rows = Rows::of(IdRows{read});
  if (body.prefix)
    of.rows.prefix = Tensor::of<int32_t>(std::vector{static_cast<int32_t>(text.context)}, {1});
  const auto adapters = acting_on(of.rows.sequences, of.text ? &of.text->sequences : nullptr);
  ModelPass pass(model_, {.adapters = adapters.get()});
  const Tensor hidden = pass.hidden(of).value;
  computed_ += of.rows.tokens();
  std::vector<Target> targets;
  for (int64_t t = text.context; t < std::ssize(text.tokens); ++t)
    targets.push_back({.row = t - 1 - skipped, .text = 0, .token = static_cast<size_t>(t)});
  std::vector<TextLikelihood> results(1);
  results[0].logprobs.resize(targets.size());
  take(hidden, targets, std::span(&text, 1), results);
  return results[0];
}

// One row of logits serves all tokens that it predicts.
void TextLikelihoods::take(const Tensor& hidden, std::span<const Target> targets,
                           std::span<const ScoredText> texts,
                           std::vector<TextLikelihood>& results) const {
  std::vector<Target> all(targets.begin(), targets.end());
  std::ranges::stable_sort(all, {}, &Target::row);
  std::vector<int64_t> rows;
  for (const Target& target : all)
    if (rows.empty() || rows.back() != target.row) rows.push_back(target.row);
  const auto label = [&](const Target& t) { return texts[t.text].tokens[t.token]; };
  auto next = all.begin();
  for (size_t first = 0; first < rows.size(); first += kHeadRows) {
    const auto some =
        std::span(rows).subspan(first).first(std::min<size_t>(kHeadRows, rows.size() - first));
    const auto count = std::ssize(some);
    const auto adapters = acting_on(Sequences::equal(1, count));
    const Tensor logits = model_.logits({.adapters = adapters.get()}, Var(rows_at(hidden, some)))
                              .value.to(DType::kF32);
    const auto row = [&](int64_t n) {
      return std::span<const float>(logits.data<float>() + n * logits.size(1),
                                    static_cast<size_t>(logits.size(1)));
    };
    std::vector<int32_t> best(some.size());
    parallel_for(count, 1, [&](int64_t n) { best[static_cast<size_t>(n)] = likeliest(row(n)); });
    const Tensor labels = Tensor::of<int32_t>(best, {count});
    const Tensor losses({count}, DType::kF32);
    ops::LogSumExp sums(logits, labels);
    ops::kernels_of(logits).cross_entropy(logits, labels, losses, TensorView(), 1.0);
    const std::vector<double> log_sums = sums.from(losses);
    for (size_t n = 0; n < some.size(); ++n)
      for (; next != all.end() && next->row == some[n]; ++next) {
        TextLikelihood& result = results[next->text];
        const auto at = next->token - static_cast<size_t>(texts[next->text].context);
        const float logit = row(static_cast<int64_t>(n))[static_cast<size_t>(label(*next))];
        result.logprobs[at] = static_cast<float>(static_cast<double>(logit) - log_sums[n]);
        result.greedy = result.greedy && label(*next) == best[n];
      }
  }
}

}  // namespace lathe
