// Masks against the definition (every token tried by itself), undoing, forks, forced text, limits.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "constraint/matching.h"
#include "lathe/base/rng.h"
#include "lathe/constraint/choice_grammar.h"
#include "lathe/constraint/gbnf.h"
#include "lathe/constraint/regex_grammar.h"
#include "lathe/constraint/schema_grammar.h"

namespace lathe {
namespace {

using constraint::Grammar;
using testing::byte_vocabulary;

std::shared_ptr<const TokenVocabulary> vocabulary() {
  return byte_vocabulary({"ab",
                          "abc",
                          "\"",
                          "\":",
                          "\": ",
                          "\", \"",
                          "}",
                          "]}",
                          "{\"",
                          "true",
                          "12",
                          ", ",
                          "a\"",
                          "a\": 1",
                          "\\u00",
                          "\xC3\xA9",
                          "\xA9x",
                          "ab",
                          "[[",
                          "]]]",
                          std::string(20, 'a'),
                          std::string(40, 'a'),
                          std::string(20, 'a') + "\"x",
                          std::string(17, 'b'),
                          std::string(24, '1')});
}

// Every token alone, on a copy.
void expect_exact_mask(Matcher& matcher, const TokenVocabulary& v) {
  const auto mask = matcher.mask();
  for (int32_t id = 0; static_cast<size_t>(id) < v.size(); ++id) {
    Matcher fork = matcher;
    const bool allowed = fork.accept(id);
    ASSERT_EQ(has_bit(*mask, id), allowed) << "token " << id << " '" << v.bytes(id) << "'";
    ASSERT_EQ(matcher.allows(id), allowed);
  }
}

std::vector<Grammar> grammars() {
  std::vector<Grammar> out;
  out.push_back(constraint::regex_grammar("(ab|a)*c{0,40}\"?"));
  out.push_back(constraint::regex_grammar("[^\"]{3,30}\"x"));
  out.push_back(constraint::regex_grammar("(ab?|b){18,60}(\"x)?1*"));
  out.push_back(constraint::regex_grammar("(aa){9,50}b|[a1]{0,17}\"x"));
  out.push_back(constraint::gbnf_grammar(
      "root ::= value\nvalue ::= \"[\" (value (\", \" value)*)? \"]\" | [a-c]{1,9} | \"12\"{2,12}"));
  out.push_back(constraint::json_grammar());
  out.push_back(constraint::schema_grammar(nlohmann::ordered_json::parse(
      R"({"type": "object", "properties": {"a": {"type": "integer"}, "ab": {"type": "array", "items": {"type": "string", "maxLength": 9}, "maxItems": 3}}, "required": ["a"]})")));
  return out;
}

TEST(Matcher, AMaskHasExactlyTheTokensThatCanBeTaken) {
  const auto v = vocabulary();
  Rng rng(5);
  for (const Grammar& grammar : grammars()) {
    const Constraint constraint(grammar, v);
    for (int walk = 0; walk < 12; ++walk) {
      Matcher matcher = constraint.matcher();
      for (int step = 0; step < 12 && !matcher.finished(); ++step) {
        expect_exact_mask(matcher, *v);
        const auto mask = matcher.mask();
        std::vector<int32_t> allowed;
        for (int32_t id = 0; static_cast<size_t>(id) < v->size(); ++id)
          if (has_bit(*mask, id)) allowed.push_back(id);
        ASSERT_FALSE(allowed.empty());
        ASSERT_TRUE(matcher.accept(
            allowed[rng.bits64(static_cast<uint64_t>(walk * 100 + step)) % allowed.size()]));
      }
    }
  }
}

TEST(Matcher, TablesThatAreFullAreRenewedWithoutANotice) {
  const auto v = vocabulary();
  constraint::StateLimits small;
  small.states = 80;
  small.mask_bytes = 200;
  for (const Grammar& grammar : grammars()) {
    const Constraint constraint(grammar, v), tight(grammar, v, small);
    Matcher a = constraint.matcher(), b = tight.matcher();
    Rng rng(9);
    for (int step = 0; step < 60 && !a.finished(); ++step) {
      const auto mask = a.mask();
      ASSERT_EQ(*mask, *b.mask());
      std::vector<int32_t> allowed;
      for (int32_t id = 0; static_cast<size_t>(id) < v->size(); ++id)
        if (has_bit(*mask, id)) allowed.push_back(id);
      const int32_t id = allowed[rng.bits64(static_cast<uint64_t>(step)) % allowed.size()];
      ASSERT_TRUE(a.accept(id));
      ASSERT_TRUE(b.accept(id));
    }
    b.undo(b.undoable());
    ASSERT_EQ(*b.mask(), *constraint.matcher().mask());
  }
}

TEST(Matcher, KeepsTheLogitsOfWhatIsAllowed) {
  const Constraint constraint(constraint::regex_grammar("[A-C]|\\u00e9"), byte_vocabulary());
  std::vector<float> logits(300, 1.5f);  // more than the 257 ids
  keep_allowed(*constraint.matcher().mask(), logits);
  for (size_t id = 0; id < logits.size(); ++id) {
    const bool allowed = (id >= 'A' && id <= 'C') || id == 0xC3;
    EXPECT_EQ(logits[id], allowed ? 1.5f : -std::numeric_limits<float>::infinity()) << id;
  }
}

TEST(Matcher, UndoesAndForks) {
  const Constraint constraint(constraint::regex_grammar("a{3}|ab"), byte_vocabulary());
  Matcher matcher = constraint.matcher();
  EXPECT_TRUE(matcher.accept('a'));
  Matcher fork = matcher;
  EXPECT_FALSE(matcher.accept('c'));
  EXPECT_TRUE(matcher.accept('b'));
  EXPECT_FALSE(matcher.allows('a'));
  EXPECT_TRUE(fork.accept('a'));
  EXPECT_TRUE(matcher.must_end());
  EXPECT_TRUE(matcher.accept(256));
  EXPECT_TRUE(matcher.finished());
  EXPECT_FALSE(matcher.accept('a'));
  matcher.undo(2);
  EXPECT_FALSE(matcher.finished());
  EXPECT_TRUE(matcher.accept_bytes("aa"));
  EXPECT_EQ(matcher.undoable(), 2u);
  EXPECT_THROW(matcher.undo(3), Error);
  EXPECT_FALSE(matcher.accept(-1));
  EXPECT_FALSE(matcher.accept(9999));
  EXPECT_FALSE(fork.accept(256));
}

TEST(Matcher, ForcesWhatHasNoChoice) {
  const std::vector<std::string> choices = {"the answer is yes", "the answer is no"};
  const Constraint constraint(constraint::choice_grammar(choices), byte_vocabulary());
  Matcher matcher = constraint.matcher();
  EXPECT_EQ(matcher.forced_bytes(), "the answer is ");
  EXPECT_EQ(matcher.forced_bytes(3), "the");
  EXPECT_EQ(matcher.forced_tokens().size(), 13u);  // the last may be part of another token
  matcher.accept_bytes("the answer is n");
  EXPECT_EQ(matcher.forced_tokens(), (std::vector<int32_t>{'o', 256}));
  matcher.accept('o');
  EXPECT_EQ(matcher.forced_bytes(), "");
  EXPECT_TRUE(matcher.must_end());
  EXPECT_EQ(matcher.forced_tokens(), std::vector<int32_t>{256});
  matcher.accept(256);
  EXPECT_TRUE(matcher.forced_tokens().empty());
}

TEST(Matcher, ForcesNothingThatTheTokenizerCannotSay) {
  const std::vector<std::string> choices = {"yes"};
  const auto forced = [&](TokenVocabulary::Encode encode) {
    std::vector<std::string> tokens = {"yes", "es", "y", ""};
    const Constraint constraint(
        constraint::choice_grammar(choices),
        std::make_shared<TokenVocabulary>(tokens, std::vector<int32_t>{3}, std::move(encode)));
    return constraint.matcher().forced_tokens();
  };
  EXPECT_EQ(forced([](std::string_view) {
              return std::vector<int32_t>{2, 1};
            }),
            (std::vector<int32_t>{2, 1, 3}));
  EXPECT_TRUE(forced([](std::string_view) { return std::vector<int32_t>{1}; }).empty());
  EXPECT_TRUE(forced([](std::string_view) { return std::vector<int32_t>{9, -1}; }).empty());
  EXPECT_TRUE(forced({}).empty());
}

TEST(Matcher, RefusesWhatCanBeReadInTooManyWays) {
  constraint::StateLimits limits;
  limits.configurations = 50;
  std::string regex;
  for (int i = 0; i < 60; ++i) regex += "(a" + std::to_string(i) + ")?";
  EXPECT_THROW(Constraint(constraint::regex_grammar(regex), byte_vocabulary(), limits), Error);
  const Constraint constraint(constraint::regex_grammar("xyz|b" + regex), byte_vocabulary(),
                              limits);
  Matcher matcher = constraint.matcher();
  EXPECT_THROW(matcher.accept('b'), Error);
  EXPECT_THROW(matcher.mask(), Error);
  EXPECT_FALSE(matcher.accept('y'));
  EXPECT_TRUE(matcher.accept_bytes("xyz"));
  EXPECT_TRUE(matcher.must_end());
}

TEST(Matcher, GoesNoDeeperThanItsLimit) {
  const Constraint constraint(constraint::gbnf_grammar("root ::= \"(\" root \")\" | \"x\""),
                              byte_vocabulary());
  Matcher matcher = constraint.matcher();
  int depth = 0;
  while (matcher.accept('(')) ++depth;
  EXPECT_EQ(depth, 512);
  EXPECT_TRUE(matcher.accept('x'));
  for (int i = 0; i < depth; ++i) ASSERT_TRUE(matcher.accept(')'));
  EXPECT_TRUE(matcher.can_end());
}

TEST(Matcher, SharesAConstraintBetweenThreads) {
  const auto v = vocabulary();
  const Constraint constraint(constraint::json_grammar(), v);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      Matcher matcher = constraint.matcher();
      Rng rng(static_cast<uint64_t>(t));
      for (uint64_t step = 0; step < 200 && !matcher.finished(); ++step) {
        const auto mask = matcher.mask();
        for (int32_t id = static_cast<int32_t>(rng.bits64(step) % v->size());;
             id = (id + 1) % static_cast<int32_t>(v->size()))
          if (has_bit(*mask, id) && matcher.accept(id)) break;
      }
    });
  for (std::thread& thread : threads) thread.join();
}

// "<a>" as a token is read as itself alone, and letters that look like it are not it.
TEST(Matcher, TellsATokenFromItsLetters) {
  std::vector<std::string> tokens = {"<", "a", ">", "<a>", "<a>", "x", "", "\xFF", "<a"};
  const auto encode = [](std::string_view text) {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(c == '<' ? 0 : c == 'a' ? 1 : c == '>' ? 2 : 5);
    return ids;
  };
  const std::vector<int32_t> marks = {3};
  const auto v = std::make_shared<TokenVocabulary>(tokens, std::vector<int32_t>{6}, encode, marks);
  EXPECT_TRUE(v->is_mark(3));
  EXPECT_FALSE(v->is_mark(4));
  EXPECT_TRUE(v->bytes(7).empty()) << "a byte that no text has";
  constraint::GrammarBuilder b;
  const auto root = b.declare("root");
  b.define(root, b.sequence({b.optional(b.text("<a>x")), b.token(3), b.text("xx"), b.token(3)}));
  const Constraint constraint(b.build(root), v);
  Matcher matcher = constraint.matcher();
  const auto allowed = [&] {
    std::vector<int32_t> ids;
    for (int32_t id = 0; id < 9; ++id) {
      Matcher fork = matcher;
      EXPECT_EQ(has_bit(*matcher.mask(), id), fork.accept(id)) << id;
      if (fork.undoable() > matcher.undoable()) ids.push_back(id);
    }
    return ids;
  };
  EXPECT_EQ(allowed(), (std::vector<int32_t>{0, 3, 4, 8}));
  EXPECT_TRUE(matcher.forced_tokens().empty());
  Matcher letters = matcher;
  ASSERT_TRUE(letters.accept(4));
  EXPECT_EQ(letters.forced_tokens(), (std::vector<int32_t>{5, 3, 5, 5, 3, 6}));
  ASSERT_TRUE(matcher.accept(3));
  EXPECT_EQ(allowed(), (std::vector<int32_t>{5}));
  EXPECT_EQ(matcher.forced_tokens(), (std::vector<int32_t>{5, 5, 3, 6}));
  EXPECT_EQ(matcher.forced_tokens(2), (std::vector<int32_t>{5}));
  EXPECT_EQ(matcher.forced_tokens(4), (std::vector<int32_t>{5}));
  EXPECT_THROW(TokenVocabulary(tokens, {6}, encode, std::vector<int32_t>{6}), Error);
  EXPECT_THROW(TokenVocabulary(tokens, {6}, encode, std::vector<int32_t>{99}), Error);
  EXPECT_THROW(b.text("a\xFF"), Error);
  EXPECT_THROW(b.token(-1), Error);
}

TEST(TokenVocabulary, KnowsItsTokens) {
  EXPECT_THROW(TokenVocabulary({"a"}, {1}), Error);
  const TokenVocabulary v({"b", "", "ab", "a", "ab"}, {0});
  EXPECT_EQ(v.ids(), (std::vector<int32_t>{3, 2, 4}));
  EXPECT_EQ(v.nodes().size(), 2u);
  EXPECT_EQ(v.nodes()[1].first, 1u);
  EXPECT_EQ(v.nodes()[1].last, 3u);
  EXPECT_EQ(TokenVocabulary({}, {}).nodes().size(), 0u);
}

}  // namespace
}  // namespace lathe
