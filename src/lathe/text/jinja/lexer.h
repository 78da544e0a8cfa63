// A template cut into tokens, with Jinja's rules of white space: the line break behind a block tag
// or comment goes (trim_blocks), and so do the blanks before one that begins a line
// (lstrip_blocks), unless `+` stands in the tag; `-` takes all white space along; one line break at
// the very end goes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lathe::jinja {

enum class TokenKind {
  kData,        // text between tags
  kBlockBegin,  // {%
  kBlockEnd,
  kPrintBegin,  // {{
  kPrintEnd,
  kName,
  kInteger,
  kFloat,
  kString,    // its value
  kOperator,  // "==", "|", "("
  kEnd,
};

struct Token {
  TokenKind kind;
  uint32_t at;  // byte of the source
  std::string text;
};

// Every line break as "\n".
std::string with_unix_line_breaks(std::string_view source);

// "line 3, column 14" of a byte of the source.
std::string place_in(std::string_view source, size_t at);

// Throws SyntaxFault; `source` must have passed with_unix_line_breaks().
std::vector<Token> tokenize(std::string_view source);

struct SyntaxFault {
  size_t at;
  std::string message;
};

}  // namespace lathe::jinja
