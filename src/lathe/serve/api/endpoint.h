// What the endpoints of the server share, and the form of one.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "lathe/http/http_server.h"
#include "lathe/serve/api_error.h"
#include "lathe/serve/generation.h"
#include "lathe/serve/open_requests.h"
#include "lathe/serve/request_fields.h"
#include "lathe/serve/response_store.h"
#include "lathe/serve/serve_metrics.h"
#include "lathe/serve/served_models.h"
#include "lathe/serve/vote_file.h"

namespace lathe {

// The answer to one request, in JSON or as a stream of events. Counts it, once, and adds the headers that say what of the
// request was ignored. Any thread may use it, one at a time.
class ApiReply {
 public:
  ApiReply(std::shared_ptr<HttpReply> http, std::string path, std::string_view endpoint,
           ServeMetrics& metrics);

  void ignore(std::vector<std::string> keys) { ignored_ = std::move(keys); }
  void json(const nlohmann::ordered_json& body, int status = 200);
  void text(std::string body, std::string_view content_type);
  void send(HttpResponse response);  // in a form of its own
  // An error in the form of the path; behind the beginning of a stream an event, and the stream's end.
  void error(const ApiError& error);

  // Events of a stream (text/event-stream): `name` stands before those of interfaces that name them.
  void event(const nlohmann::ordered_json& data, std::string_view name = {});
  void done(std::string_view last = {});  // a last line of data, as it is

  HttpReply& http() { return *http_; }

 private:
  HttpHeaders headers(std::string_view content_type) const;
  void count(int status);

  std::shared_ptr<HttpReply> http_;
  std::string path_, endpoint_;
  ServeMetrics& metrics_;
  std::vector<std::string> ignored_;
  bool streams_ = false;
};

// What the endpoints work on.
struct ApiContext {
  ServedModels& models;
  ServeMetrics& metrics;
  OpenRequests& open;
  ResponseStore& responses;
  VoteFile* votes;  // null: none are kept
};

// A request as endpoints see it.
struct ApiCall {
  const HttpRequest& request;
  std::string rest;    // of the path, behind an endpoint's that ends with '/'
  std::string client;  // who asks, for fair shares: the key's number, or the address
  std::string owner;   // of what is kept: the key's number; empty where nobody needs a key
  std::shared_ptr<ApiReply> reply;
};

struct Endpoint {
  std::string_view method, path;
  void (*handle)(ApiContext& context, const ApiCall& call);
  bool open_to_all = false;  // needs no key
};

// A request's body. The reply names what nobody asked for.
void note_ignored(const ApiCall& call, const RequestFields& fields);
// The model that a body names; ApiError 404 for one that is not there.
ServedModel& model_of(ApiContext& context, RequestFields& fields);

// Starts it, under the name `id`, and ends it when the client leaves.
void answer(ApiContext& context, const ApiCall& call, const std::string& id, ServedModel& model,
            GenerationRequest request, std::unique_ptr<AnswerWriter> writer);

// "chatcmpl-8f3a…": never the same twice.
std::string new_id(std::string_view kind);
int64_t unix_seconds();

}  // namespace lathe
