// One request to a model while it is answered: several prompts, several answers to each.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lathe/chat/answer_reader.h"
#include "lathe/infer/request.h"
#include "lathe/serve/api_error.h"
#include "lathe/serve/serve_metrics.h"
#include "lathe/serve/served_model.h"

namespace lathe {

// What is asked.
struct GenerationRequest {
  std::vector<std::vector<int32_t>> prompts;
  GenerationConfig sampling;
  int64_t choices = 1;  // to each prompt
  std::optional<int64_t> logprobs = {};
  std::shared_ptr<const Constraint> constraint = {};
  bool reads_calls = false;                     // answers may have calls of tools
  bool reads_thoughts = false;                  // and thoughts
  std::optional<int64_t> thinking_budget = {};  // tokens of each
  bool cache_prompt = true;
  int64_t priority = 0;
  std::vector<std::string> adapters = {};
  std::string client = {};
};

// A token of an answer, with the text that it made certain. Answers are numbered over all prompts: prompt · choices + choice.
struct AnswerToken {
  int64_t answer = 0;
  NewToken token;
  std::vector<AnswerPart> parts;
};

struct AnswerEnd {
  int64_t answer = 0;
  std::vector<AnswerPart> parts;     // the rest of the text
  std::string_view reason = "stop";  // or "length"
  std::string stop_string = {};      // that ended it, if one did
  const ChatMessage* message = nullptr;
};

struct GenerationUsage {
  int64_t prompt_tokens = 0, cached_tokens = 0, new_tokens = 0, thinking_tokens = 0;
};

// Makes an answer for a client of what the engine says. Calls come one at a time, on the engine's thread.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;
  virtual void token(const AnswerToken& token) = 0;
  virtual void end(const AnswerEnd& end) = 0;
  // The last call, unless it failed.
  virtual void done(const GenerationUsage& usage) = 0;
  virtual void fail(const ApiError& error) = 0;
};

// Thread-safe.
class Generation : public std::enable_shared_from_this<Generation> {
 public:
  // Submits it. The model must outlive the generation. Errors: ApiError for what the engine refuses (400, 429, 503).
  static std::shared_ptr<Generation> start(ServedModel& model, GenerationRequest request,
                                           std::unique_ptr<AnswerWriter> writer,
                                           ServeMetrics& metrics);

  // Ends what is left. With `quietly` nobody is told: the client has gone.
  void cancel(bool quietly);
  // Ends what is left with an error.
  void fail(const ApiError& error);

  struct State {
    std::string model;
    bool writing = false;  // or it waits, or reads its prompt
    int64_t prompt_tokens = 0, new_tokens = 0;
    double seconds = 0;  // since it came
  };
  State state() const;
  bool over() const;

 private:
  struct Answer;
  Generation(ServedModel& model, GenerationRequest request, std::unique_ptr<AnswerWriter> writer,
             ServeMetrics& metrics);
  void submit();
  // The number of an answer.
  int64_t base_of(size_t prompt, int64_t choice) const {
    return static_cast<int64_t>(prompt) * request_.choices + choice;
  }
  Request request_for(size_t prompt, int64_t first, int64_t count);
  bool take(int64_t answer, const NewToken& token);
  void finish(int64_t answer, const Finished& end);
  void finish_all();

  ServedModel& model_;
  GenerationRequest request_;
  ServeMetrics& metrics_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();

  mutable std::mutex mutex_;  // of all below
  std::unique_ptr<AnswerWriter> writer_;
  std::vector<uint64_t> ids_;
  std::vector<std::unique_ptr<Answer>> answers_;
  int64_t open_ = 0;
  bool quiet_ = false, cancelled_ = false;
  std::optional<ApiError> error_;
  GenerationUsage usage_;
  std::optional<std::chrono::steady_clock::time_point> last_token_;
};

}  // namespace lathe
