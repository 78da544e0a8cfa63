#include "lathe/eval/ask/model_source.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/chat/text_stream.h"
#include "lathe/infer/engine.h"
#include "lathe/tensor/storage.h"
#include "lathe/text/tokenizer_facts.h"

namespace lathe {
namespace {

using Take = std::function<void(std::span<NumberedAnswer>)>;

// Enough for passes at the full rate; a run that is killed computes at most so many again.
constexpr size_t kItemsAtOnce = 64;

bool asks_without_prompt(const TaskConfig& config) {
  return std::ranges::find(config.metrics, "acc_uncond") != config.metrics.end();
}

}  // namespace

RequestRules request_rules(const Transformer& model, const Tokenizer& tokenizer,
                           const std::string& tokenizer_path) {
  const ModelConfig& c = model.config();
  require(tokenizer.vocab_size() <= c.vocab_size, ErrorKind::kData, tokenizer_path,
          "the tokenizer has {} entries, but the model has only {}; they do not belong together",
          tokenizer.vocab_size(), c.vocab_size);
  const TokenizerFacts facts = read_tokenizer_facts(tokenizer_path, tokenizer);
  RequestRules rules;
  rules.most_tokens =
      std::min({model.longest_text().value_or(c.max_position_embeddings), c.max_position_embeddings,
                facts.model_max_length.value_or(c.max_position_embeddings)});
  std::optional<int32_t> prefix = facts.bos ? facts.bos : facts.eos;
  if (!prefix && c.bos_token_id) prefix = static_cast<int32_t>(*c.bos_token_id);
  if (!prefix && !c.eos_token_ids().empty()) prefix = static_cast<int32_t>(c.eos_token_ids()[0]);
  require(prefix.has_value(), ErrorKind::kData, tokenizer_path,
          "names no token that begins or ends a text, behind which a text without prompt could "
          "stand; set bos_token or eos_token in tokenizer_config.json");
  rules.prefix = *prefix;
  rules.begin_text = tokenizer.decode(std::span(&*prefix, 1));
  return rules;
}

ModelSource::ModelSource(const Transformer& model, const Tokenizer& tokenizer, RequestRules rules,
                         int64_t seed, std::vector<std::shared_ptr<const LoraAdapter>> adapters)
    : model_(model),
      tokenizer_(tokenizer),
      adapters_(std::move(adapters)),
      encoder_(tokenizer, std::move(rules)),
      likelihoods_(model, {.adaptation = {.loras = adapters_}}),
      seed_(seed) {}

void ModelSource::ask(const TaskConfig& task, std::span<const EvalItem> items, const Take& take) {
  if (task.task_kind() == TaskKind::kGenerate) return generate(task, items, take);
  for (size_t first = 0; first < items.size(); first += kItemsAtOnce)
    ask_likelihoods(task, items.subspan(first, std::min(kItemsAtOnce, items.size() - first)), first,
                    take);
}

// The texts of some items, and their likelihoods as answers.
class ModelSource::Texts {
 public:
  Texts(const Tokenizer& tokenizer, const RequestEncoder& encoder, const TaskConfig& task,
        std::span<const EvalItem> items)
      : tokenizer_(tokenizer),
        encoder_(encoder),
        task_(task),
        items_(items),
        answers_(items.size()) {
    for (size_t item = 0; item < items.size(); ++item) {
      try {
        add(item);
      } catch (const Error& error) {
        fail(ErrorKind::kData, items[item].place, "{}", error.what());
      }
    }
  }

  const std::vector<ScoredText>& all() const { return texts_; }

  std::vector<NumberedAnswer> answers(std::span<const TextLikelihood> likelihoods, size_t first) {
    for (size_t i = 0; i < likelihoods.size(); ++i) {
      const Place& place = places_[i];
      EvalAnswer& answer = answers_[place.item];
      const double sum = likelihoods[i].sum();
      if (place.unconditional) {
        answer.uncond[place.continuation] = sum;
        continue;
      }
      answer.logprobs[place.continuation] += sum;
      answer.tokens[place.continuation] += std::ssize(likelihoods[i].logprobs);
      answer.greedy[place.continuation] =
          answer.greedy[place.continuation] && likelihoods[i].greedy;
      if (answer.per_token.empty()) continue;
      for (size_t t = 0; t < likelihoods[i].logprobs.size(); ++t) {
        const auto token = texts_[i].tokens[static_cast<size_t>(texts_[i].context) + t];
        answer.per_token[place.continuation].emplace_back(
            replace_invalid_utf8(tokenizer_.token_bytes(token)), likelihoods[i].logprobs[t]);
      }
    }
    std::vector<NumberedAnswer> numbered;
    for (size_t item = 0; item < answers_.size(); ++item)
      numbered.push_back({first + item, std::move(answers_[item])});
    return numbered;
  }

 private:
  struct Place {
    size_t item, continuation;
    bool unconditional = false;
  };

  void add(size_t number) {
    const EvalItem& item = items_[number];
    EvalAnswer& answer = answers_[number];
    const size_t count = item.continuations.size();
    answer.logprobs.assign(count, 0.0);
    answer.greedy.assign(count, true);
    answer.tokens.assign(count, 0);
    if (task_.task_kind() != TaskKind::kPerplexity) answer.per_token.resize(count);
    const bool unconditional = asks_without_prompt(task_);
    if (unconditional) answer.uncond.assign(count, 0.0);
    for (size_t c = 0; c < count; ++c) {
      const std::string& prompt = item.prompts[item.prompts.size() > 1 ? c : 0];
      if (task_.task_kind() == TaskKind::kPerplexity) {
        for (ScoredText& window : encoder_.windows(prompt + item.continuations[c]))
          add_text(std::move(window), {number, c});
        continue;
      }
      EncodedRequest request = encoder_.encode(prompt, item.continuations[c]);
      answer.truncated = answer.truncated || request.truncated;
      add_text(std::move(request.text), {number, c});
      if (unconditional)
        add_text(encoder_.encode(item.uncond.value_or(""), item.continuations[c]).text,
                 {number, c, true});
    }
  }
  void add_text(ScoredText text, Place place) {
    texts_.push_back(std::move(text));
    places_.push_back(place);
  }

  const Tokenizer& tokenizer_;
  const RequestEncoder& encoder_;
  const TaskConfig& task_;
  std::span<const EvalItem> items_;
  std::vector<EvalAnswer> answers_;
  std::vector<ScoredText> texts_;
  std::vector<Place> places_;
};

void ModelSource::ask_likelihoods(const TaskConfig& task, std::span<const EvalItem> items,
                                  size_t first, const Take& take) {
  Texts texts(tokenizer_, encoder_, task, items);
  const auto likelihoods = likelihoods_.of(texts.all(), [&] { take({}); });
  std::vector<NumberedAnswer> answers = texts.answers(likelihoods, first);
  take(answers);
}

namespace {

// Without a chat template the message of the system is what the text begins with.
std::string text_of(const EvalItem& item) {
  return (item.system ? *item.system + "\n\n" : "") + item.prompts[0];
}

// An item while its texts are written.
struct Writing {
  std::vector<int32_t> prompt;
  bool truncated = false;
  std::vector<TextStream> streams;  // of each sample
  size_t open = 0;
  std::exception_ptr error;
};

// Room for as many of the longest as run at once.
EngineOptions engine_options(const Transformer& model, std::span<const Writing> all,
                             const TaskConfig& task) {
  EngineOptions o{.token_budget = 512, .max_sequences = 16, .commit_memory = false};
  o.max_queue = std::ssize(all);
  int64_t longest = 0;
  for (const Writing& each : all) longest = std::max(longest, std::ssize(each.prompt));
  const Room room(model);
  const int64_t one = room.before(longest) + task.max_tokens + 2 * o.block_size;
  o.cache_tokens = one * std::min<int64_t>(o.max_sequences, std::ssize(all) * task.samples);
  o.text_tokens = o.max_sequences * (longest + 2 * o.block_size);
  const int64_t most = cache_tokens_in(memory_for_caches(), model, o);
  o.cache_tokens = std::max(one, std::min(o.cache_tokens, most));
  return o;
}

// What the engine is asked for one item; `finished` gets it once all its texts are written.
Request request_for(const TaskConfig& task, const Rng& rng, Writing& writing, size_t item,
                    std::vector<NumberedAnswer>& finished) {
  Request request{.prompt = writing.prompt, .choices = task.samples};
  request.sampling.max_new_tokens = task.max_tokens;
  request.sampling.temperature = task.temperature;
  request.sampling.seed = static_cast<int64_t>(rng.key() >> 1);
  request.on_token = [&writing](const NewToken& token) {
    return writing.streams[static_cast<size_t>(token.choice)].push(token.token);
  };
  request.on_finish = [&writing, &finished, item](const Finished& end) {
    if (end.error) writing.error = end.error;
    if (--writing.open > 0 || writing.error) return;
    NumberedAnswer answer{.item = item, .answer = {}};
    answer.answer.truncated = writing.truncated;
    for (TextStream& stream : writing.streams) answer.answer.responses.push_back(stream.finish());
    finished.push_back(std::move(answer));
  };
  return request;
}

// `all` and `finished` must outlive the engine's requests.
void run(Engine& engine, std::span<const Writing> all, std::vector<NumberedAnswer>& finished,
         const Take& take) {
  while (engine.step()) {
    take(finished);
    finished.clear();
    for (const Writing& each : all)
      if (each.error) std::rethrow_exception(each.error);
  }
}

}  // namespace

void ModelSource::generate(const TaskConfig& task, std::span<const EvalItem> items,
                           const Take& take) {
  require(
      task.samples == 1 || task.temperature > 0, ErrorKind::kConfig, task.file.string(),
      "samples is {} and temperature 0, with which all of them are the same; set a temperature, "
      "or samples = 1",
      task.samples);
  std::vector<Writing> all(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    RequestEncoder::Prompt prompt = encoder_.prompt(text_of(items[i]), task.max_tokens);
    all[i].prompt = std::move(prompt.tokens);
    all[i].truncated = prompt.truncated;
    all[i].open = static_cast<size_t>(task.samples);
    for (int64_t s = 0; s < task.samples; ++s) all[i].streams.emplace_back(tokenizer_, task.stop);
  }
  Engine engine(model_, engine_options(model_, all, task));
  const std::vector<std::string> adapters = engine.load_adapters(adapters_);
  std::vector<NumberedAnswer> finished;
  const Rng rng = Rng(static_cast<uint64_t>(seed_)).fork("samples").fork(task.name);
  for (size_t i = 0; i < items.size(); ++i) {
    const Rng own = rng.fork(static_cast<uint64_t>(items[i].id));
    Request request = request_for(task, own, all[i], i, finished);
    request.adapters = adapters;
    const Submission taken = engine.submit(std::move(request));
    if (taken.refusal)
      fail(ErrorKind::kData, items[i].place, "{}: {}", taken.refusal->where,
           taken.refusal->message);
  }
  if (!allocator_of(model_.device())
           .holds_values()) {  // a plan: one pass of prompts takes the most
    engine.step();
    return;
  }
  run(engine, all, finished, take);
}

}  // namespace lathe
