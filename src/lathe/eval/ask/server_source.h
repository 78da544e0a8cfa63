// Answers of a server with OpenAI's interface: each item is a chat of one message, POST URL/chat/completions.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "lathe/eval/ask/answer_source.h"
#include "lathe/io/http_client.h"

namespace lathe {

struct ServerSetting {
  std::string url;          // "http://127.0.0.1:8000/v1"
  std::string model;        // as the server knows it
  int64_t retries = 3;      // of a request that failed, each after twice the time of the one before
  int64_t concurrency = 4;  // requests at a time
  std::optional<std::string> key = {};  // sent as a bearer token
};

// Used by one thread.
class ServerSource : public AnswerSource {
 public:
  explicit ServerSource(ServerSetting setting);

  // Errors: kConfig for a task that needs log-likelihoods, which this interface does not give; kIo, with what the server
  // answered, once a request failed more than `retries` times: answers to requests that were open then are still taken.
  void ask(const TaskConfig& task, std::span<const EvalItem> items,
           const std::function<void(std::span<NumberedAnswer>)>& take) override;

 private:
  class Asking;

  HttpRequest request_for(const TaskConfig& task, const EvalItem& item) const;

  ServerSetting setting_;
};

}  // namespace lathe
