// What is wrong with a request, as its client is told, in the forms of the public interfaces.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

#include "lathe/base/error.h"
#include "lathe/http/http_server.h"

namespace lathe {

class ApiError : public std::runtime_error {
 public:
  // `param`: the key that is wrong; `code`: a name that programs know, if there is one.
  ApiError(int status, const std::string& message, std::string param = {}, std::string code = {})
      : std::runtime_error(message),
        status_(status),
        param_(std::move(param)),
        code_(std::move(code)) {}

  int status() const { return status_; }
  const std::string& param() const { return param_; }
  const std::string& code() const { return code_; }

 private:
  int status_;
  std::string param_, code_;
};

// Status 400 for the key `param`.
template <class... Args>
[[noreturn]] void refuse(std::string_view param, fmt::format_string<Args...> format,
                         Args&&... args) {
  throw ApiError(400, fmt::format(format, std::forward<Args>(args)...), std::string(param));
}

// The message of an Error without its "[where] ": names of files stay out of it.
std::string message_without_place(const Error& error);

// {"error": {"message", "type", "param", "code"}}
nlohmann::ordered_json openai_error(const ApiError& error);
// {"type": "error", "error": {"type", "message"}}
nlohmann::ordered_json anthropic_error(const ApiError& error);
// The one that clients of this path read, and the answer with it.
nlohmann::ordered_json error_body(const ApiError& error, std::string_view path);
HttpResponse error_response(const ApiError& error, std::string_view path);

// On one line. A body that was not UTF-8 may be quoted in a message.
std::string dumped(const nlohmann::ordered_json& json);

}  // namespace lathe
