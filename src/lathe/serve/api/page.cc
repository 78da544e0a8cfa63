// The web page: GET /, which is index.html, and /page/NAME, which is every other file of it.
#include <algorithm>

#include "lathe/io/hash.h"
#include "lathe/serve/api/endpoints.h"
#include "lathe/serve/page_files.h"

namespace lathe {
namespace {

constexpr std::string_view kFront = "index.html";

struct PageType {
  std::string_view ending, content_type;
};
constexpr PageType kTypes[] = {{".html", "text/html; charset=utf-8"},
                               {".css", "text/css; charset=utf-8"},
                               {".js", "text/javascript; charset=utf-8"},
                               {".svg", "image/svg+xml"}};

// The page asks this server alone, and runs only what is in its files: text of a model cannot become a program.
constexpr std::string_view kPolicy =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const EmbeddedText& file_named(std::string_view name) {
  const std::span<const EmbeddedText> files = page_files();
  const auto found = std::ranges::find(files, name, &EmbeddedText::name);
  if (found == files.end()) throw ApiError(404, "there is nothing at this path");
  return *found;
}

std::string_view type_of(std::string_view name) {
  for (const PageType& type : kTypes)
    if (name.ends_with(type.ending)) return type.content_type;
  throw ApiError(500, fmt::format("the type of {} is not known", name));
}

// Browsers ask each time whether their copy is still right, so a new program has its new page at once.
void send_file(const ApiCall& call, const EmbeddedText& file) {
  const std::string tag = fmt::format("\"{}\"", hash_text(file.text));
  HttpResponse response{.headers = {{"Content-Type", std::string(type_of(file.name))},
                                    {"Cache-Control", "no-cache"},
                                    {"ETag", tag},
                                    {"Content-Security-Policy", std::string(kPolicy)},
                                    {"X-Content-Type-Options", "nosniff"},
                                    {"X-Frame-Options", "DENY"},
                                    {"Referrer-Policy", "no-referrer"}}};
  if (call.request.header("If-None-Match") == tag)
    response.status = 304;
  else
    response.body = file.text;
  call.reply->send(std::move(response));
}

}  // namespace

void front_page(ApiContext&, const ApiCall& call) { send_file(call, file_named(kFront)); }

void page_file(ApiContext&, const ApiCall& call) {
  if (call.rest == kFront)
    throw ApiError(404, "there is nothing at this path");  // its links fit `/`
  send_file(call, file_named(call.rest));
}

}  // namespace lathe
