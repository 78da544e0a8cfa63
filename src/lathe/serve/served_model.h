// A model that answers: its weights, its tokenizer and chat template, and an engine in a thread of its own.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/chat/thinking_tags.h"
#include "lathe/chat/tool_call_syntax.h"
#include "lathe/embed/relevance.h"
#include "lathe/embed/sentence_encoder.h"
#include "lathe/infer/engine.h"
#include "lathe/infer/speculation/speculation.h"
#include "lathe/model/load_model.h"
#include "lathe/text/chat_template.h"

namespace lathe {

class TokenVocabulary;  // constraint/token_vocabulary.h

struct ServedModelOptions {
  std::string name, path;
  DType dtype = DType::kF32;
  QuantisedWeights weights = QuantisedWeights::kNative;
  int64_t parallel = 16;  // texts that are written at once
  std::optional<int64_t> context =
      {};  // tokens of a text; by default what was trained, at most 8192
  std::optional<int64_t> cache_bytes = {};  // by default room for as many texts of 2048 tokens
  int64_t max_queue = 256;                  // texts that wait
  std::optional<std::string> chat_template = {};     // the text of another one
  std::map<std::string, std::string> adapters = {};  // folders by the names that requests give
  std::function<Speculation(const Transformer&)> speculation = {};
};

// Thread-safe.
class ServedModel {
 public:
  // Loads it and starts its engine. Errors: those of reading the files, and kConfig for memory that is not there.
  ServedModel(ServedModelOptions options, const Log& log);
  // Open requests end, with kCancelled.
  ~ServedModel();
  ServedModel(const ServedModel&) = delete;
  ServedModel& operator=(const ServedModel&) = delete;

  const std::string& name() const { return options_.name; }
  const Transformer& model() const { return *model_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  int64_t context() const { return context_; }
  int64_t loaded_at() const { return loaded_at_; }  // seconds since 1970
  // Of generation_config.json, where there is one: what a request does not say.
  const GenerationConfig& defaults() const { return defaults_; }
  // The ids that end an answer.
  const std::vector<int32_t>& ends() const { return ends_; }

  bool writes() const { return engine_ != nullptr; }
  // ApiError 400 where the model has none: an encoder, a model without a template.
  Engine& engine() const;
  const ChatTemplate& chat_template() const;
  // For vectors of texts; ApiError 400 where the model gives none (two stacks, scores). A folder that is made for
  // vectors alone must not be wrong in this: then the constructor throws.
  const SentenceEncoder& encoder() const;
  // For ranking texts; ApiError 400 where the model ranks none.
  const Relevance& relevance() const;
  // How it calls tools; ApiError 400 for `tools` where its template has no calls that are understood.
  const ToolCallSyntax& calls() const;
  const std::optional<ThinkingTags>& thinking() const { return thinking_; }
  // For constraints: as token_vocabulary() with ends() (chat/token_vocabulary.h); made once.
  std::shared_ptr<const TokenVocabulary> vocabulary(const std::vector<int32_t>& marks = {}) const;

  // Takes places for so many texts, written or waiting; false where there are no more. Each is given back once.
  bool admit(int64_t texts);
  void release() { --open_texts_; }

  // Open requests go on, new ones are refused.
  void drain();

 private:
  void start_engine();
  void load_adapters(const Log& log);
  void make_encoder(const Log& log);

  ServedModelOptions options_;
  Tokenizer tokenizer_;
  std::unique_ptr<Transformer> model_;
  Speculation speculation_;
  std::optional<ChatTemplate> template_;
  std::optional<ThinkingTags> thinking_;
  GenerationConfig defaults_;
  std::vector<int32_t> ends_;
  int64_t context_ = 0, loaded_at_ = 0;
  std::unique_ptr<Engine> engine_;
  std::string why_no_engine_;
  std::unique_ptr<const SentenceEncoder> encoder_;
  std::unique_ptr<const Relevance> relevance_;
  std::string why_no_encoder_, why_no_relevance_;
  std::thread thread_;
  std::atomic<int64_t> open_texts_ = 0;

  mutable std::mutex mutex_;  // of what is made when it is asked for
  mutable std::optional<ToolCallSyntax> calls_;
  mutable std::string why_no_calls_;
  mutable std::map<std::vector<int32_t>, std::shared_ptr<const TokenVocabulary>> vocabularies_;
};

}  // namespace lathe
