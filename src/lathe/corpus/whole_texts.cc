#include "lathe/corpus/whole_texts.h"

#include <nlohmann/json.hpp>

#include "lathe/config/json_text.h"
#include "lathe/corpus/documents.h"
#include "lathe/corpus/json_values.h"
#include "lathe/corpus/text_format.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostValueBytes = size_t{64} << 20;

void add_texts(const Json& value, std::string& text) {
  if (value.is_string()) text += value.get<std::string>() + "\n";
  if (value.is_structured())
    for (const Json& part : value) add_texts(part, text);
}

}  // namespace

std::string texts_in(const Json& value) {
  std::string text;
  add_texts(value, text);
  return text;
}

void for_each_whole_text(const std::filesystem::path& file,
                         const std::function<void(std::string_view)>& receive) {
  PackedFile packed(file);
  if (text_format(packed.peek(kHeadBytes), file.string()) == TextFormat::kPlain) {
    const std::filesystem::path files[] = {file};
    for_each_document(files, {}, [&](Document&& document) {
      receive(document.text);
      return true;
    });
    return;
  }
  JsonValues values(std::move(packed), kMostValueBytes);
  std::string_view value;
  while (values.next(value))
    receive(texts_in(parse_json(value, file.string(),
                                {.first_line = static_cast<size_t>(values.line_number()),
                                 .error_kind = ErrorKind::kData})));
}

}  // namespace lathe
