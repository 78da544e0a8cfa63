// The text of HTTP/1.1: heads of answers, names of hosts, dates.
#pragma once

#include <string>
#include <string_view>

#include "lathe/http/http_server.h"

namespace lathe::http {

enum class BodyForm : uint8_t {
  kWhole,    // with its length
  kChunked,  // in pieces (HTTP/1.1)
  kToEnd,    // in pieces, up to the end of the connection (HTTP/1.0)
};

// The status line and the headers, with the empty line behind them.
std::string head_text(const HttpResponse& response, BodyForm form, bool closes);
// A piece of a chunked body.
std::string chunk_text(std::string_view piece);

bool equal_ignoring_case(std::string_view a, std::string_view b);
// "localhost:8080" -> "localhost", "[::1]:80" -> "[::1]", "a.example." -> "a.example".
std::string_view name_of_host(std::string_view host);
// Throws std::logic_error for names and values that would end their line: no client can cause it.
void require_sound(const HttpHeaders& headers);

}  // namespace lathe::http
