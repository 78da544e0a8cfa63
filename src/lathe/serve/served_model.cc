#include "lathe/serve/served_model.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/chat/token_vocabulary.h"
#include "lathe/io/json_file.h"
#include "lathe/serve/api_error.h"

namespace lathe {
namespace {

constexpr int64_t kLongestByDefault = 8192, kCachedByDefault = 2048;

// As transformers reads it, with the ids of the model's configuration among those that end a text.
GenerationConfig defaults_in(const std::string& folder, const ModelConfig& model) {
  GenerationConfig config;
  const std::filesystem::path path = std::filesystem::path(folder) / "generation_config.json";
  if (std::filesystem::exists(path))
    config = read_generation_config(read_json_file(path), path.string());
  for (const int64_t id : model.eos_token_ids())
    if (std::ranges::find(config.eos_token_id, id) == config.eos_token_id.end())
      config.eos_token_id.push_back(id);
  return config;
}

}  // namespace

ServedModel::ServedModel(ServedModelOptions options, const Log& log)
    : options_(std::move(options)),
      tokenizer_(load_tokenizer(options_.path)),
      model_(load_for_inference(options_.path, options_.dtype, log, options_.weights)),
      defaults_(defaults_in(options_.path, model_->config())),
      loaded_at_(std::chrono::duration_cast<std::chrono::seconds>(
                     std::chrono::system_clock::now().time_since_epoch())
                     .count()) {
  if (options_.chat_template || ChatTemplate::exists(options_.path))
    template_ = ChatTemplate::load(options_.path, options_.chat_template);
  if (template_) thinking_ = thinking_tags(*template_, tokenizer_);
  for (const int64_t id : defaults_.eos_token_id)
    if (tokenizer_.has(id)) ends_.push_back(static_cast<int32_t>(id));
  const int64_t longest = model_->longest_text().value_or(model_->config().max_position_embeddings);
  context_ = std::min(longest, options_.context.value_or(kLongestByDefault));
  start_engine();
  load_adapters(log);
  make_encoder(log);
  if (engine_) log.info("{}: {}", name(), engine_->description());
}

ServedModel::~ServedModel() {
  if (!engine_) return;
  engine_->stop(/*cancel_open=*/true);
  thread_.join();
}

void ServedModel::start_engine() {
  if (model_->config().num_labels > 0) {
    why_no_engine_ = "it gives scores in place of tokens";
    return;
  }
  EngineOptions o{.max_sequences = options_.parallel,
                  .max_queue = options_.parallel + options_.max_queue};
  o.cache_tokens = std::max(context_, options_.parallel * std::min(context_, kCachedByDefault)) +
                   options_.parallel * 2 * o.block_size;
  if (options_.speculation) speculation_ = options_.speculation(*model_);
  o.draft_tokens = speculation_.draft_tokens;
  if (options_.cache_bytes) {
    o.cache_tokens = cache_tokens_in(*options_.cache_bytes, *model_, o);
    require(o.cache_tokens > 0, ErrorKind::kConfig, "cache_mib",
            "{} MiB hold no text of {}; give more", *options_.cache_bytes >> 20, name());
  }
  try {
    engine_ = std::make_unique<Engine>(*model_, o, speculation_.drafter(o));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kData) throw;
    why_no_engine_ = message_without_place(error);
    return;
  }
  require_memory(*model_, o, "make --parallel, --context or --cache-mib smaller");
  // The number of threads belongs to the thread that sets it.
  thread_ = std::thread([this, threads = thread_count()] {
    set_thread_count(threads);
    engine_->serve();
  });
}

void ServedModel::load_adapters(const Log& log) {
  require(engine_ || options_.adapters.empty(), ErrorKind::kConfig, "--adapter",
          "{} writes no text, so requests cannot choose adapters: {}", name(), why_no_engine_);
  for (const auto& [name, folder] : options_.adapters)
    engine_->load_adapter(name, load_lora(folder, *model_, log));
}

void ServedModel::make_encoder(const Log& log) {
  const ModelConfig& config = model_->config();
  try {
    encoder_ = std::make_unique<SentenceEncoder>(*model_, tokenizer_,
                                                 read_sentence_config(options_.path, config, log));
  } catch (const Error& error) {
    const bool for_vectors = !engine_ && config.num_labels == 0;
    if (for_vectors) throw;
    why_no_encoder_ = message_without_place(error);
  }
  try {
    relevance_ = std::make_unique<Relevance>(*model_, tokenizer_, encoder_.get());
  } catch (const Error& error) {
    why_no_relevance_ = message_without_place(error);
  }
}

const SentenceEncoder& ServedModel::encoder() const {
  if (!encoder_)
    throw ApiError(400, fmt::format("{} gives no vectors: {}", name(), why_no_encoder_), "model");
  return *encoder_;
}

const Relevance& ServedModel::relevance() const {
  if (!relevance_)
    throw ApiError(400, fmt::format("{} ranks no texts: {}", name(), why_no_relevance_), "model");
  return *relevance_;
}

Engine& ServedModel::engine() const {
  if (!engine_)
    throw ApiError(400, fmt::format("{} writes no text: {}", name(), why_no_engine_), "model");
  return *engine_;
}

const ChatTemplate& ServedModel::chat_template() const {
  if (!template_)
    throw ApiError(400, fmt::format("{} has no chat template; ask /v1/completions", name()),
                   "model");
  return *template_;
}

const ToolCallSyntax& ServedModel::calls() const {
  const std::lock_guard lock(mutex_);
  if (!calls_ && why_no_calls_.empty()) {
    try {
      calls_ = tool_call_syntax(chat_template(), tokenizer_, ends_);
    } catch (const Error& error) {
      why_no_calls_ = message_without_place(error);
    }
  }
  if (!calls_)
    throw ApiError(400, fmt::format("{} cannot be held to calls: {}", name(), why_no_calls_),
                   "tools");
  return *calls_;
}

std::shared_ptr<const TokenVocabulary> ServedModel::vocabulary(
    const std::vector<int32_t>& marks) const {
  const std::lock_guard lock(mutex_);
  auto& known = vocabularies_[marks];
  if (!known) known = token_vocabulary(tokenizer_, ends_, marks);
  return known;
}

bool ServedModel::admit(int64_t texts) {
  const int64_t most = options_.parallel + options_.max_queue;
  if ((open_texts_ += texts) <= most) return true;
  open_texts_ -= texts;
  return false;
}

void ServedModel::drain() {
  if (engine_) engine_->stop();
}

}  // namespace lathe
