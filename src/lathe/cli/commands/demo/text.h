// The demo's text: where it comes from and how it is cleaned.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// What the Debian package `fortunes` installs.
inline constexpr std::string_view kDefaultDemoText = "/usr/share/games/fortunes";
// The line between two documents of the corpus file; also the tokenizer's end-of-text token.
inline constexpr std::string_view kEndOfText = "<|endoftext|>";

struct DemoText {
  std::vector<std::string> documents;
  std::string source;
  int64_t bytes = 0;
  std::vector<std::string>
      openings;  // how documents often begin, most frequent first, at most three
};

// Reads `path` (files and folders as `lathe shard` takes them), or the default text when it is not
// given, and cleans it: valid UTF-8, line feeds only, overstrikes and control characters gone, tabs
// as spaces, no blanks at line ends, at most one blank line in a row; documents longer than 4,000
// bytes are cut at a paragraph's or a line's end. Errors: kIo for what cannot be read, naming the
// package when the default text is not installed; kData for a text without 20,000 bytes.
DemoText read_demo_text(const std::optional<std::string>& path);

// One file, documents separated by lines with kEndOfText.
void write_corpus(const DemoText& text, const std::filesystem::path& file);

std::string clean_text(std::string_view raw);
std::vector<std::string> cut_document(const std::string& text, size_t longest);

}  // namespace lathe
