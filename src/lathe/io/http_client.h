// Requests to a server over HTTP, several at a time from one thread, by libcurl.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lathe {

struct HttpRequest {
  std::string url;                        // http: or https:
  std::string body;                       // posted as application/json
  std::vector<std::string> headers = {};  // "Name: value"
};

struct HttpReply {
  int64_t status = 0;  // 0: there was no answer, and `error` says why
  std::string body, error;
  double retry_after = 0;  // seconds that the server asks to wait; 0 if it does not
};

struct HttpLimits {
  double connect_seconds = 10, seconds = 600;  // of a request
  size_t bytes = size_t{64} << 20;             // of an answer
};

// Follows no redirection and keeps connections. Not thread-safe.
class HttpClient {
 public:
  explicit HttpClient(const HttpLimits& limits = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Posts it; `id` comes back with the reply.
  void post(uint64_t id, HttpRequest request);
  size_t open() const;  // requests without a reply yet
  // Waits until something happens, at most `seconds`, and calls `take` for each reply. What it throws ends nothing: the
  // others can be waited for.
  void wait(double seconds, const std::function<void(uint64_t id, HttpReply reply)>& take);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lathe
