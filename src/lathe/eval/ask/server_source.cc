#include "lathe/eval/ask/server_source.h"

#include <algorithm>
#include <chrono>
#include <deque>

#include "lathe/base/error.h"
#include "lathe/base/printable.h"
#include "lathe/eval/ask/chat_source.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr double kFirstPause = 0.5, kLongestPause = 60, kTick = 0.1;  // seconds
constexpr size_t kShown = 200;  // characters of what a server says

// The text of each choice, or what is wrong with the answer.
std::vector<std::string> texts_of(const std::string& body, int64_t wanted, std::string& problem) {
  std::vector<std::string> texts;
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  try {
    for (const Json& choice : json.at("choices")) {
      const Json& content = choice.at("message").at("content");
      texts.push_back(content.is_null() ? "" : content.get<std::string>());
    }
  } catch (const Json::exception&) {
    problem =
        "answered with something else than a chat completion: " + printable(body.substr(0, kShown));
    return {};
  }
  if (std::ssize(texts) != wanted)
    problem =
        fmt::format("gave {} answers to a request for {}; if it does not know `n`, set samples = 1",
                    texts.size(), wanted);
  return texts;
}

// Whether the same request can succeed later.
bool may_pass(const HttpReply& reply) {
  return reply.status == 0 || reply.status == 408 || reply.status == 429 || reply.status >= 500;
}

}  // namespace

ServerSource::ServerSource(ServerSetting setting) : setting_(std::move(setting)) {
  while (setting_.url.ends_with('/')) setting_.url.pop_back();
}

HttpRequest ServerSource::request_for(const TaskConfig& task, const EvalItem& item) const {
  Json body = {{"model", setting_.model},
               {"messages", messages_of(item)},
               {"temperature", task.temperature},
               {"max_tokens", task.max_tokens}};
  if (!task.stop.empty()) body["stop"] = task.stop;
  if (task.samples > 1) body["n"] = task.samples;
  HttpRequest request{.url = setting_.url + "/chat/completions", .body = body.dump()};
  if (setting_.key) request.headers.push_back("Authorization: Bearer " + *setting_.key);
  return request;
}

// The items of one task on their way.
class ServerSource::Asking {
 public:
  Asking(const ServerSource& source, const TaskConfig& task, std::span<const EvalItem> items,
         const std::function<void(std::span<NumberedAnswer>)>& take)
      : source_(source), task_(task), items_(items), take_(take) {
    for (size_t i = 0; i < items.size(); ++i) waiting_.push_back({.item = i});
  }

  void run() {
    while (client_.open() > 0 || (!waiting_.empty() && error_.empty())) {
      send();
      client_.wait(kTick, [&](uint64_t item, HttpReply reply) { receive(item, reply); });
      take_(answers_);
      answers_.clear();
    }
    if (!error_.empty()) throw Error(ErrorKind::kIo, source_.setting_.url, error_);
  }

 private:
  struct Waiting {
    size_t item;
    Clock::time_point from = {};  // not before
  };

  void send() {
    const auto now = Clock::now();
    while (error_.empty() && !waiting_.empty() && waiting_.front().from <= now &&
           static_cast<int64_t>(client_.open()) < source_.setting_.concurrency) {
      const size_t item = waiting_.front().item;
      waiting_.pop_front();
      client_.post(item, source_.request_for(task_, items_[item]));
    }
  }

  void receive(size_t item, const HttpReply& reply) {
    if (reply.status == 200) {
      NumberedAnswer answer{.item = item, .answer = {}};
      std::string wrong;
      answer.answer.responses = texts_of(reply.body, task_.samples, wrong);
      if (wrong.empty())
        answers_.push_back(std::move(answer));
      else
        fail_with(item, wrong);
      return;
    }
    const int64_t failures = ++failures_[item];
    if (may_pass(reply) && failures <= source_.setting_.retries) {
      const double pause = std::min(
          kLongestPause,
          std::max(reply.retry_after, kFirstPause * static_cast<double>(int64_t{1} << failures)));
      waiting_.push_front({item, Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                    std::chrono::duration<double>(pause))});
      return;
    }
    const std::string what =
        reply.status == 0
            ? "gave no answer: " + reply.error
            : fmt::format("answered {}: {}", reply.status, printable(reply.body.substr(0, kShown)));
    fail_with(item, failures > 1 ? fmt::format("{} ({} times in a row)", what, failures) : what);
  }

  void fail_with(size_t item, const std::string& what) {
    if (!error_.empty()) return;
    error_ = fmt::format(
        "{}, to item {} of task '{}'; the answers so far are kept: mend that, and go on with --resume",
        what, items_[item].id, task_.name);
  }

  const ServerSource& source_;
  const TaskConfig& task_;
  std::span<const EvalItem> items_;
  const std::function<void(std::span<NumberedAnswer>)>& take_;
  HttpClient client_;
  std::deque<Waiting> waiting_;
  std::map<size_t, int64_t> failures_;
  std::vector<NumberedAnswer> answers_;
  std::string error_;
};

void ServerSource::ask(const TaskConfig& task, std::span<const EvalItem> items,
                       const std::function<void(std::span<NumberedAnswer>)>& take) {
  require(
      task.task_kind() == TaskKind::kGenerate, ErrorKind::kConfig, task.file.string(),
      "is of kind '{}': its items are log-likelihoods, which a server's chat interface does not "
      "give; evaluate a model's folder",
      task.kind);
  Asking(*this, task, items, take).run();
}

}  // namespace lathe
