#include "lathe/http/http_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/http/status.hpp>
#include <ctime>
#include <stdexcept>

namespace lathe {
namespace http {
namespace {

// "Sun, 06 Nov 1994 08:49:37 GMT", in English whatever the locale is.
std::string date_text() {
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm t{};
  ::gmtime_r(&now, &t);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[t.tm_wday], t.tm_mday,
                     kMonths[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view name_of_host(std::string_view host) {
  const size_t colon = host.starts_with('[') ? host.find(':', std::min(host.size(), host.find(']')))
                                             : host.find(':');
  host = host.substr(0, colon);
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

void require_sound(const HttpHeaders& headers) {
  for (const auto& [name, value] : headers)
    for (const std::string* text : {&name, &value})
      if (text->find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
        throw std::logic_error("a header of an answer has a line break in it");
}

std::string head_text(const HttpResponse& response, BodyForm form, bool closes) {
  const auto reason = boost::beast::http::obsolete_reason(
      boost::beast::http::int_to_status(static_cast<unsigned>(response.status)));
  std::string out = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
                                std::string_view(reason.data(), reason.size()), date_text());
  for (const auto& [name, value] : response.headers) out += fmt::format("{}: {}\r\n", name, value);
  const bool has_no_body = response.status == 204 || response.status == 304;
  if (form == BodyForm::kChunked)
    out += "Transfer-Encoding: chunked\r\n";
  else if (form == BodyForm::kWhole && !has_no_body)
    out += fmt::format("Content-Length: {}\r\n", response.body.size());
  if (closes) out += "Connection: close\r\n";
  return out + "\r\n";
}

std::string chunk_text(std::string_view piece) {
  return fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
}

}  // namespace http

std::string_view HttpRequest::header(std::string_view name) const {
  const auto it = std::ranges::find_if(
      headers, [&](const auto& h) { return http::equal_ignoring_case(h.first, name); });
  return it == headers.end() ? std::string_view() : it->second;
}

}  // namespace lathe
