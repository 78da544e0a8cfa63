// The interfaces of the server: what is asked at which path, and who may.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/http/http_server.h"
#include "lathe/serve/open_requests.h"
#include "lathe/serve/response_store.h"
#include "lathe/serve/serve_metrics.h"
#include "lathe/serve/served_models.h"
#include "lathe/serve/vote_file.h"

namespace lathe {

struct ApiOptions {
  std::vector<std::string> keys = {};  // of which a client gives one; empty: nobody needs any
  std::optional<double> request_seconds = {};  // that an answer may take
  int64_t responses = 1000;                    // of /v1/responses that are kept
  VoteFile* votes = nullptr;                   // must outlive the server; null: none are kept
};

// Thread-safe.
class Api {
 public:
  // The models must outlive it.
  Api(ServedModels& models, ApiOptions options, Log log);

  void handle(const HttpRequest& request, const std::shared_ptr<HttpReply>& reply);
  // The answer to what is no request (HttpServerOptions::refusal).
  static HttpResponse refusal(int status, std::string_view message, std::string_view path);
  // Ends requests that take longer than ApiOptions::request_seconds; to be called now and then.
  void end_overdue();
  // From now on /health says so.
  void drain() { draining_ = true; }

 private:
  size_t key_of(const HttpRequest& request) const;

  ServedModels& models_;
  ApiOptions options_;
  Log log_;
  ServeMetrics metrics_;
  OpenRequests open_;
  ResponseStore responses_;
  std::atomic<bool> draining_ = false;
};

}  // namespace lathe
