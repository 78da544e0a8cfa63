// Files of documents as stretches that belong together by their form.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct Stretch {
  enum class Kind : uint8_t { kHeading, kText, kItem, kCode, kRow };
  Kind kind = Kind::kText;
  int level = 0;               // of a heading, from 1
  int64_t begin = 0, end = 0;  // bytes of the file
  // What it says, where the bytes have markup beside it; empty: the bytes themselves.
  std::string words = {};
};

struct Document {
  std::string title;
  std::vector<Stretch> stretches;  // in the order of the file; they do not overlap
};

// By the file's extension (".md"), which read_document() knows if can_read() says so. The text must be UTF-8. Any text is
// a document; what is broken as Markdown, HTML, JSON or CSV is read as far as it goes, JSON that is none as plain text.
bool can_read(std::string_view extension);
Document read_document(std::string_view text, std::string_view extension);
std::vector<std::string> readable_extensions();

}  // namespace lathe
