#include "lathe/serve/api.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "lathe/base/strings.h"
#include "lathe/serve/api/endpoints.h"

namespace lathe {
namespace {

constexpr Endpoint kEndpoints[] = {
    {"GET", "/health", health, /*open_to_all=*/true},
    {"GET", "/metrics", metrics},
    {"GET", "/slots", slots},
    {"GET", "/v1/models", list_models},
    {"GET", "/v1/models/", show_model},
    {"POST", "/v1/chat/completions", chat_completions},
    {"POST", "/v1/completions", completions},
    {"POST", "/v1/embeddings", embeddings},
    {"POST", "/v1/rerank", rerank},
    {"POST", "/v1/responses", responses},
    {"GET", "/v1/responses/", show_response},
    {"DELETE", "/v1/responses/", forget_response},
    {"POST", "/v1/messages", messages},
    {"POST", "/v1/messages/count_tokens", count_tokens},
    {"POST", "/v1/cancel", cancel_request},
    {"POST", "/tokenize", tokenize},
    {"POST", "/detokenize", detokenize},
    {"POST", "/apply-template", apply_template},
    {"GET", "/", front_page, /*open_to_all=*/true},
    {"GET", "/page/", page_file, /*open_to_all=*/true},
    {"POST", "/v1/votes", add_vote},
};

// An endpoint whose path ends with '/' has all that begin with it; the root is only itself.
bool is_at(const Endpoint& endpoint, std::string_view path) {
  if (!endpoint.path.ends_with('/') || endpoint.path == "/") return path == endpoint.path;
  return path.starts_with(endpoint.path) && path.size() > endpoint.path.size();
}

std::string_view asked_method(std::string_view method) { return method == "HEAD" ? "GET" : method; }

const Endpoint& endpoint_of(const HttpRequest& request, std::vector<std::string>& allowed) {
  for (const Endpoint& endpoint : kEndpoints) {
    if (!is_at(endpoint, request.path)) continue;
    if (asked_method(request.method) == endpoint.method) return endpoint;
    allowed.emplace_back(endpoint.method);
  }
  constexpr std::string_view kMethods[] = {"GET",   "HEAD",   "POST",   "PUT",
                                           "PATCH", "DELETE", "OPTIONS"};
  if (std::ranges::find(kMethods, request.method) == std::end(kMethods))
    throw ApiError(501, "this method is not known");
  if (allowed.empty()) throw ApiError(404, "there is nothing at this path");
  throw ApiError(405, fmt::format("this path takes {}", join(allowed, ", ")));
}

// A body is JSON; a client that says otherwise is not understood.
void require_json(const HttpRequest& request) {
  const std::string_view type = request.header("Content-Type");
  if (request.method != "POST" || type.empty() || type.starts_with("application/json")) return;
  throw ApiError(415, "the body must be application/json");
}

// Takes as long for every key of a length, so that none can be found letter by letter.
bool same_key(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::string_view given_key(const HttpRequest& request) {
  std::string_view key = request.header("Authorization");
  if (key.starts_with("Bearer ")) return trimmed(key.substr(7));
  return trimmed(request.header("x-api-key"));
}

}  // namespace

Api::Api(ServedModels& models, ApiOptions options, Log log)
    : models_(models),
      options_(std::move(options)),
      log_(std::move(log)),
      responses_(options_.responses) {}

// Its place in the list. All are compared: the time says nothing about which it was.
size_t Api::key_of(const HttpRequest& request) const {
  const std::string_view given = given_key(request);
  size_t found = options_.keys.size();
  for (size_t i = 0; i < options_.keys.size(); ++i)
    if (same_key(options_.keys[i], given)) found = i;
  if (found == options_.keys.size())
    throw ApiError(401, "a key is needed that this server knows: Authorization: Bearer KEY", {},
                   "invalid_api_key");
  return found;
}

HttpResponse Api::refusal(int status, std::string_view message, std::string_view path) {
  return error_response(ApiError(status, std::string(message)), path);
}

void Api::end_overdue() {
  if (options_.request_seconds) open_.end_older_than(*options_.request_seconds);
}

void Api::handle(const HttpRequest& request, const std::shared_ptr<HttpReply>& http) {
  std::string_view label = "unknown";
  std::vector<std::string> allowed;
  const auto send_error = [&](const ApiError& error) {
    metrics_.request(label, error.status());
    HttpResponse response = error_response(error, request.path);
    if (error.status() == 405) response.headers.emplace_back("Allow", join(allowed, ", "));
    http->send(std::move(response));
  };
  try {
    const Endpoint& endpoint = endpoint_of(request, allowed);
    label = endpoint.path;
    std::string owner;
    if (!options_.keys.empty() && !endpoint.open_to_all)
      owner = fmt::format("key {}", key_of(request));
    if (draining_) throw ApiError(503, "draining", {}, "stopping");
    require_json(request);
    ApiContext context{models_, metrics_, open_, responses_, options_.votes};
    const ApiCall call{
        .request = request,
        .rest = request.path.substr(std::min(request.path.size(), endpoint.path.size())),
        .client = owner.empty() ? request.client : owner,
        .owner = owner,
        .reply = std::make_shared<ApiReply>(http, request.path, endpoint.path, metrics_)};
    endpoint.handle(context, call);
  } catch (const ApiError& error) {
    send_error(error);
  } catch (const Error& error) {
    log_.warn("{} {}: {}", request.method, request.path, error.what());
    send_error(
        ApiError(error.kind() == ErrorKind::kData || error.kind() == ErrorKind::kConfig ? 400 : 500,
                 message_without_place(error)));
  }
}

}  // namespace lathe
