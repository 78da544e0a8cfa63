#include "lathe/serve/api/endpoint.h"

#include <chrono>
#include <random>

#include "lathe/base/strings.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// A key that a client made up may hold anything: what a header may not is left out.
std::string as_header(const std::vector<std::string>& keys) {
  std::string out;
  for (const std::string& key : keys) {
    if (!out.empty()) out += ", ";
    for (const char c : key)
      if (c > ' ' && c < 0x7F && c != ',') out += c;
    if (out.size() > 1000) break;
  }
  return out;
}

}  // namespace

ApiReply::ApiReply(std::shared_ptr<HttpReply> http, std::string path, std::string_view endpoint,
                   ServeMetrics& metrics)
    : http_(std::move(http)), path_(std::move(path)), endpoint_(endpoint), metrics_(metrics) {}

HttpHeaders ApiReply::headers(std::string_view content_type) const {
  HttpHeaders out = {{"Content-Type", std::string(content_type)},
                     {"X-Content-Type-Options", "nosniff"}};
  if (!ignored_.empty()) out.emplace_back("Lathe-Ignored", as_header(ignored_));
  return out;
}

void ApiReply::count(int status) { metrics_.request(endpoint_, status); }

void ApiReply::json(const Json& body, int status) {
  count(status);
  http_->send({.status = status, .headers = headers("application/json"), .body = dumped(body)});
}

void ApiReply::text(std::string body, std::string_view content_type) {
  count(200);
  http_->send({.headers = headers(content_type), .body = std::move(body)});
}

void ApiReply::send(HttpResponse response) {
  count(response.status);
  http_->send(std::move(response));
}

void ApiReply::error(const ApiError& error) {
  if (streams_) {
    event(error_body(error, path_), path_.starts_with("/v1/messages") ? "error" : "");
    http_->end();
    return;
  }
  count(error.status());
  HttpResponse response = error_response(error, path_);
  http_->send(std::move(response));
}

void ApiReply::event(const Json& data, std::string_view name) {
  std::string text;
  if (!name.empty()) text = fmt::format("event: {}\n", name);
  text += "data: " + dumped(data) + "\n\n";
  if (std::exchange(streams_, true)) return http_->write(std::move(text));
  count(200);
  HttpResponse head{.headers = headers("text/event-stream; charset=utf-8"),
                    .body = std::move(text)};
  head.headers.emplace_back("Cache-Control", "no-cache");
  http_->begin(std::move(head));
}

void ApiReply::done(std::string_view last) {
  if (!last.empty()) http_->write(fmt::format("data: {}\n\n", last));
  http_->end();
}

void note_ignored(const ApiCall& call, const RequestFields& fields) {
  call.reply->ignore(fields.unknown());
}

ServedModel& model_of(ApiContext& context, RequestFields& fields) {
  const Json& name = fields.get("model");
  if (name.is_null()) {
    if (context.models.all().size() == 1) return *context.models.all().front();
    refuse("model", "name one of the models: {}", join(context.models.names(), ", "));
  }
  if (!name.is_string())
    refuse("model", "`model` is a {}, expected the name of a model", name.type_name());
  ServedModel* model = context.models.find(name.get<std::string>());
  if (model == nullptr)
    throw ApiError(404,
                   fmt::format("there is no model '{}'; there are: {}", name.get<std::string>(),
                               join(context.models.names(), ", ")),
                   "model", "model_not_found");
  return *model;
}

void answer(ApiContext& context, const ApiCall& call, const std::string& id, ServedModel& model,
            GenerationRequest request, std::unique_ptr<AnswerWriter> writer) {
  request.client = call.client;
  const auto generation =
      Generation::start(model, std::move(request), std::move(writer), context.metrics);
  context.open.add(id, generation);
  call.reply->http().on_gone([weak = std::weak_ptr(generation)] {
    if (const auto it = weak.lock()) it->cancel(/*quietly=*/true);
  });
}

std::string new_id(std::string_view kind) {
  static thread_local std::mt19937_64 random{(uint64_t{std::random_device{}()} << 32) ^
                                             std::random_device{}()};
  return fmt::format("{}-{:016x}{:08x}", kind, random(), random() >> 32);
}

int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace lathe
