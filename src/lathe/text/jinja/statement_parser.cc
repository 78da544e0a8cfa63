#include <algorithm>
#include <array>
#include <initializer_list>

#include "lathe/base/strings.h"
#include "lathe/text/jinja/lexer.h"
#include "lathe/text/jinja/parser.h"

namespace lathe::jinja {
namespace {

class StatementParser {
 public:
  explicit StatementParser(std::vector<Token> tokens)
      : tokens_(std::move(tokens)), expressions_(tokens_) {}

  ParsedTemplate whole() {
    Body body = statements({});
    return {std::move(body), has_generations_};
  }

 private:
  using Ends = std::initializer_list<std::string_view>;
  using Node = decltype(Statement::node);

  // Up to a tag whose name is in `ends`, which stays; up to the end if there are none.
  Body statements(Ends ends) {
    const ExpressionParser::Nested nested(expressions_);
    Body body;
    while (!tokens_.is(TokenKind::kEnd)) {
      const Token token = tokens_.take();
      const auto at = static_cast<uint32_t>(token.at);
      if (token.kind == TokenKind::kData) {
        body.push_back({at, Data{token.text}});
      } else if (token.kind == TokenKind::kPrintBegin) {
        body.push_back({at, Print{expressions_.expressions()}});
        expect_end(TokenKind::kPrintEnd);
      } else {
        if (std::ranges::find(ends, tokens_.now().text) != ends.end()) return body;
        body.push_back({at, statement()});
      }
    }
    return body;
  }

  void expect_end(TokenKind kind) {
    if (!tokens_.is(kind)) tokens_.bad("expected the end of the tag");
    tokens_.take();
  }

  // The body of a block, with the end tag of that name.
  Body body_until(std::string_view begin_name, std::string_view end_name) {
    expect_end(TokenKind::kBlockEnd);
    Body body = statements({end_name});
    end_block(begin_name, end_name);
    return body;
  }

  void end_block(std::string_view begin_name, std::string_view end_name) {
    if (!tokens_.pass_name(end_name))
      tokens_.bad("expected {{% {} %}} for the block '{}'", end_name, begin_name);
    expect_end(TokenKind::kBlockEnd);
  }

  struct Tag {
    std::string_view name;
    Node (StatementParser::*read)();
  };
  static constexpr size_t kTagCount = 10;
  static const std::array<Tag, kTagCount> kTags;

  Node statement() {
    const size_t at = tokens_.now().at;
    const std::string word = tokens_.expect_name("the name of a tag");
    for (const Tag& tag : kTags)
      if (tag.name == word) return (this->*tag.read)();
    refuse(at, word);
  }

  [[noreturn]] static void refuse(size_t at, const std::string& word) {
    constexpr std::string_view kAlone =
        "belongs to templates of several files, and this one stands alone; put the text itself here";
    constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kOthers = {
        {{"include", kAlone},
         {"import", kAlone},
         {"from", kAlone},
         {"extends", kAlone},
         {"block", kAlone},
         {"do", "changes a value, and values cannot be changed here; use `set`"},
         {"autoescape",
          "has no use, because nothing is escaped by itself; use the filter `escape`"}}};
    for (const auto& [name, why] : kOthers)
      if (word == name) throw SyntaxFault{at, fmt::format("the tag '{}' {}", word, why)};
    if (word.starts_with("end") || word.starts_with("el"))
      throw SyntaxFault{at, fmt::format("'{}' belongs to no block that is open here", word)};
    std::vector<std::string> known;
    for (const Tag& tag : kTags) known.emplace_back(tag.name);
    throw SyntaxFault{at, fmt::format("there is no tag '{}'.{} Known: {}", word,
                                      did_you_mean(word, known), join(known, ", "))};
  }

  Node read_if() {
    If node;
    bool more = true;
    while (more) {
      ExprPtr condition = expressions_.expressions(false);
      expect_end(TokenKind::kBlockEnd);
      node.branches.emplace_back(std::move(condition), statements({"elif", "else", "endif"}));
      more = tokens_.pass_name("elif");
    }
    if (tokens_.pass_name("else")) {
      expect_end(TokenKind::kBlockEnd);
      node.otherwise = statements({"endif"});
    }
    end_block("if", "endif");
    return node;
  }

  Node read_for() {
    For node;
    node.target = expressions_.target(false);
    if (node.target.name == "loop")
      tokens_.bad("expected another name than 'loop', which is the loop itself");
    if (!tokens_.pass_name("in")) tokens_.bad("expected `in` behind the variable of the loop");
    node.iterable = expressions_.expressions(false);
    if (tokens_.pass_name("if")) node.condition = expressions_.expression();
    node.recursive = tokens_.pass_name("recursive");
    expect_end(TokenKind::kBlockEnd);
    ++loops_;
    node.body = statements({"else", "endfor"});
    --loops_;
    if (tokens_.pass_name("else")) {
      expect_end(TokenKind::kBlockEnd);
      node.otherwise = statements({"endfor"});
    }
    end_block("for", "endfor");
    return node;
  }

  Node read_set() {
    Target target = expressions_.target(true);
    if (tokens_.pass_operator("=")) {
      ExprPtr value = expressions_.expressions();
      expect_end(TokenKind::kBlockEnd);
      return Set{std::move(target), std::move(value)};
    }
    ExprPtr filter = expressions_.filters_of_block(false);
    return SetBlock{std::move(target), std::move(filter), body_until("set", "endset")};
  }

  std::vector<Parameter> parameters() {
    std::vector<Parameter> out;
    tokens_.expect_operator("(", "before the parameters");
    while (!tokens_.is_operator(")")) {
      Parameter p;
      p.name = tokens_.expect_name("the name of a parameter");
      if (tokens_.pass_operator("=")) p.fallback = expressions_.expression();
      if (p.fallback == nullptr && !out.empty() && out.back().fallback != nullptr)
        tokens_.bad("expected a default for '{}', because the parameter before it has one", p.name);
      out.push_back(std::move(p));
      if (!tokens_.pass_operator(",")) break;
    }
    tokens_.expect_operator(")", "or ',' behind a parameter");
    return out;
  }

  // The body of a macro or of a call block, and which of the special names it uses.
  void read_macro_body(MacroOf& macro, std::string_view begin_name, std::string_view end_name) {
    const int outer_loops = std::exchange(loops_, 0);
    std::set<std::string> outer = std::exchange(expressions_.special_names, {});
    macro.body = body_until(begin_name, end_name);
    std::set<std::string>& used = expressions_.special_names;
    macro.takes_more = used.contains("varargs");
    macro.takes_named = used.contains("kwargs");
    macro.takes_caller = used.contains("caller");
    used.merge(outer);
    loops_ = outer_loops;
  }

  Node read_macro() {
    MacroOf macro;
    macro.name = expressions_.target(false).name;
    if (macro.name.empty()) tokens_.bad("expected one name for the macro");
    macro.parameters = parameters();
    read_macro_body(macro, "macro", "endmacro");
    return macro;
  }

  Node read_call() {
    CallBlock node;
    node.caller.name = "caller";
    if (tokens_.is_operator("(")) node.caller.parameters = parameters();
    node.call = expressions_.expression();
    if (!std::holds_alternative<CallOf>(node.call->node))
      throw SyntaxFault{node.call->at, "expected a call behind `call`, such as name(1)"};
    read_macro_body(node.caller, "call", "endcall");
    return node;
  }

  Node read_filter() {
    ExprPtr filter = expressions_.filters_of_block(true);
    return FilterBlock{std::move(filter), body_until("filter", "endfilter")};
  }

  Node read_with() {
    With node;
    while (!tokens_.is(TokenKind::kBlockEnd)) {
      Target target = expressions_.target(false);
      tokens_.expect_operator("=", "behind the variable");
      node.variables.emplace_back(std::move(target), expressions_.expression());
      if (!tokens_.pass_operator(",")) break;
    }
    node.body = body_until("with", "endwith");
    return node;
  }

  Node read_generation() {
    has_generations_ = true;
    const int outer_loops = std::exchange(loops_, 0);
    Generation node{body_until("generation", "endgeneration")};
    loops_ = outer_loops;
    return node;
  }

  void require_loop(std::string_view word) {
    if (loops_ == 0) tokens_.bad("expected a loop around `{}`", word);
    expect_end(TokenKind::kBlockEnd);
  }
  Node read_break() {
    require_loop("break");
    return Break();
  }
  Node read_continue() {
    require_loop("continue");
    return Continue();
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  int loops_ = 0;  // around the present tag, in the same macro
  bool has_generations_ = false;
};

constexpr std::array<StatementParser::Tag, StatementParser::kTagCount> StatementParser::kTags = {{
    {"if", &StatementParser::read_if},
    {"for", &StatementParser::read_for},
    {"set", &StatementParser::read_set},
    {"macro", &StatementParser::read_macro},
    {"call", &StatementParser::read_call},
    {"filter", &StatementParser::read_filter},
    {"with", &StatementParser::read_with},
    {"generation", &StatementParser::read_generation},
    {"break", &StatementParser::read_break},
    {"continue", &StatementParser::read_continue},
}};

}  // namespace

ParsedTemplate parse_template(std::string_view source) {
  return StatementParser(tokenize(source)).whole();
}

}  // namespace lathe::jinja
