// The tokens of a template, one ahead.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/text/jinja/lexer.h"

namespace lathe::jinja {

class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& now() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }

  bool is(TokenKind kind) const { return now().kind == kind; }
  bool is_operator(std::string_view text) const {
    return is(TokenKind::kOperator) && now().text == text;
  }
  bool is_name(std::string_view text) const { return is(TokenKind::kName) && now().text == text; }
  bool ahead_is_operator(std::string_view text) const {
    return ahead().kind == TokenKind::kOperator && ahead().text == text;
  }

  bool pass_operator(std::string_view text) { return is_operator(text) && (take(), true); }
  bool pass_name(std::string_view text) { return is_name(text) && (take(), true); }

  void expect_operator(std::string_view text, std::string_view what_for) {
    if (!pass_operator(text)) bad("expected '{}' {}", text, what_for);
  }
  std::string expect_name(std::string_view what) {
    if (!is(TokenKind::kName)) bad("expected {}", what);
    return take().text;
  }

  // Throws SyntaxFault at the present token, saying what stands there.
  template <class... Args>
  [[noreturn]] void bad(fmt::format_string<Args...> format, Args&&... args) const {
    throw SyntaxFault{now().at,
                      fmt::format("{}, found {}", fmt::format(format, std::forward<Args>(args)...),
                                  shown(now()))};
  }

 private:
  static std::string shown(const Token& token) {
    switch (token.kind) {
      case TokenKind::kEnd:
        return "the end of the template";
      case TokenKind::kBlockEnd:
      case TokenKind::kPrintEnd:
        return "the end of the tag";
      case TokenKind::kData:
      case TokenKind::kBlockBegin:
      case TokenKind::kPrintBegin:
        return "text outside of a tag";
      default:
        return fmt::format("'{}'", token.text);
    }
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
};

}  // namespace lathe::jinja
