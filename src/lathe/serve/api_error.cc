#include "lathe/serve/api_error.h"

#include <nlohmann/json.hpp>

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct Names {
  int status;
  const char *openai, *anthropic;
};
constexpr Names kNames[] = {
    {400, "invalid_request_error", "invalid_request_error"},
    {401, "authentication_error", "authentication_error"},
    {403, "permission_error", "permission_error"},
    {404, "not_found_error", "not_found_error"},
    {413, "invalid_request_error", "request_too_large"},
    {429, "rate_limit_error", "rate_limit_error"},
    {500, "server_error", "api_error"},
    {503, "server_error", "overloaded_error"},
};

// Other errors of clients are named as 400, others of the server as 500.
const Names& names_of(int status) {
  const Names* fallback = &kNames[0];
  for (const Names& names : kNames) {
    if (names.status == status) return names;
    if (names.status == 500 && status > 500) fallback = &names;
  }
  return *fallback;
}

Json or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

}  // namespace

std::string message_without_place(const Error& error) {
  const std::string_view all = error.what();
  const size_t end = all.find("] ");
  return std::string(all.starts_with('[') && end != std::string_view::npos ? all.substr(end + 2)
                                                                           : all);
}

Json openai_error(const ApiError& error) {
  return {{"error",
           {{"message", error.what()},
            {"type", names_of(error.status()).openai},
            {"param", or_null(error.param())},
            {"code", or_null(error.code())}}}};
}

Json anthropic_error(const ApiError& error) {
  return {{"type", "error"},
          {"error", {{"type", names_of(error.status()).anthropic}, {"message", error.what()}}}};
}

Json error_body(const ApiError& error, std::string_view path) {
  return path.starts_with("/v1/messages") ? anthropic_error(error) : openai_error(error);
}

HttpResponse error_response(const ApiError& error, std::string_view path) {
  HttpResponse response{.status = error.status(),
                        .headers = {{"Content-Type", "application/json"}},
                        .body = dumped(error_body(error, path))};
  if (error.status() == 429 || error.status() == 503)
    response.headers.emplace_back("Retry-After", "1");
  return response;
}

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace lathe
