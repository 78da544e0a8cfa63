// The way back to a client, which remembers what it was given.
#pragma once

#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lathe/http/http_server.h"

namespace lathe::testing {

class RecordedReply : public HttpReply {
 public:
  void send(HttpResponse response) override {
    const std::lock_guard lock(mutex_);
    response_ = std::move(response);
    complete_ = true;
    changed_.notify_all();
  }
  void begin(HttpResponse head) override {
    const std::lock_guard lock(mutex_);
    response_ = std::move(head);
    changed_.notify_all();
  }
  void write(std::string piece) override {
    const std::lock_guard lock(mutex_);
    response_.body += piece;
  }
  void end() override {
    const std::lock_guard lock(mutex_);
    complete_ = true;
    changed_.notify_all();
  }
  bool gone() const override { return false; }
  void on_gone(std::function<void()> f) override {
    const std::lock_guard lock(mutex_);
    on_gone_ = std::move(f);
  }

  // The client leaves.
  void leave() {
    std::function<void()> f;
    {
      const std::lock_guard lock(mutex_);
      f = std::move(on_gone_);
    }
    if (f) f();
  }
  // Once the answer is complete; status 0 if it is not after a minute.
  HttpResponse wait() {
    std::unique_lock lock(mutex_);
    const bool done = changed_.wait_for(lock, std::chrono::minutes(1), [&] { return complete_; });
    return done ? response_ : HttpResponse{.status = 0};
  }
  // Once a stream has begun.
  bool wait_for_beginning() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1),
                             [&] { return !response_.body.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  HttpResponse response_;
  bool complete_ = false;
  std::function<void()> on_gone_;
};

// The data of a stream's events; the last line's "[DONE]" as a text.
inline std::vector<nlohmann::ordered_json> events_of(const std::string& body) {
  std::vector<nlohmann::ordered_json> out;
  std::istringstream lines(body);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("data: "))
      out.push_back(line == "data: [DONE]" ? nlohmann::ordered_json("[DONE]")
                                           : nlohmann::ordered_json::parse(line.substr(6)));
  return out;
}

}  // namespace lathe::testing
