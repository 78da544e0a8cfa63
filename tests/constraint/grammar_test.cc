// Regular expressions, choices and GBNF: what fits, what is a beginning, what is refused and where.
#include <gtest/gtest.h>

#include "constraint/matching.h"
#include "lathe/constraint/choice_grammar.h"
#include "lathe/constraint/gbnf.h"
#include "lathe/constraint/regex_grammar.h"

namespace lathe::constraint {
namespace {

using lathe::testing::fit;
using lathe::testing::message_of;

std::string fits_regex(std::string_view regex, std::string_view text) {
  return fit(regex_grammar(regex), text);
}

TEST(RegexGrammar, TakesWhatTheExpressionTakes) {
  struct Case {
    std::string_view regex, yes, prefix, no;
  };
  for (const Case& c : std::vector<Case>{
           {"abc", "abc", "ab", "abd"},
           {"^a|bc$", "a", "b", "c"},
           {"a*b+c?", "aabbc", "aa", "c"},
           {"(ab|cd){2,3}", "abcdab", "ab", "abcdabcd"},
           {"[a-cx]{3}", "axb", "ax", "ad"},
           {"[^a-c]", "d", "", "a"},
           {"\\d{1,3}(\\.\\d+)?", "12.5", "12.", "1234"},
           {"\\w+\\s\\S", "ab_1 x", "ab_1 ", "a-"},
           {"\\u00e9|\\x41|\\u{1F642}|\\ud83d\\ude43", "\xC3\xA9", "\xF0\x9F\x99", "B"},
           {".", "\xF0\x9F\x99\x82", "\xF0\x9F", "\n"},
           {"[\xC3\xA0-\xC3\xBF]+", "\xC3\xA9\xC3\xA8", "\xC3\xA9\xC3", "\xC3\x80"},
           {"(?:a|(?<n>b))*?c", "abac", "ab", "d"},
           {"a{0,2}b{0}c{2,}", "aacc", "c", "acb"},
           {"(a?){3}b", "aab", "aaa", "aaaab"},
           {"(a*)*b", "aaab", "aaa", "c"},
           {"x{12,20}", "xxxxxxxxxxxxxxx", "xxxxxxxxxxx", "xxxxxxxxxxxxxxxxxxxxx"},
           {"(ab){100,1000}c|q", "q", "abab", "abc"},
           {"\\/\\-\\]", "/-]", "/-", "-"}}) {
    SCOPED_TRACE(c.regex);
    EXPECT_EQ(fits_regex(c.regex, c.yes), "yes") << c.yes;
    EXPECT_EQ(fits_regex(c.regex, c.prefix), "prefix") << c.prefix;
    EXPECT_EQ(fits_regex(c.regex, c.no), "no") << c.no;
  }
  EXPECT_EQ(fits_regex("", ""), "yes");
  EXPECT_EQ(fits_regex("[a-]|b{|c{x", "-"), "yes");
  EXPECT_EQ(fits_regex("[a-]|b{|c{x", "b{"), "yes");
  EXPECT_EQ(fits_regex("[^]", "\n"), "yes");
}

TEST(RegexGrammar, RefusesWhatIsNotRegularAndSaysWhere) {
  const auto says = [](std::string_view regex, std::string_view part) {
    const std::string message = message_of([&] { regex_grammar(regex); });
    EXPECT_NE(message.find(part), std::string::npos) << regex << ": " << message;
  };
  says("ab(?=c)", "character 4: look-around");
  says("(?<!a)b", "character 2: look-around");
  says("(?i)a", "look-around, flags");
  says("(a)\\1", "character 5: '\\1' is not supported");
  says("\\bword", "'\\b' is not supported");
  says("\\p{L}", "'\\p' is not supported");
  says("a**", "character 3: a repeat cannot be repeated");
  says("*a", "nothing to repeat");
  says("a{3,2}", "not possible");
  says("a{999999}", "at most 100000");
  says("(a", "'(' is not closed");
  says("a)", "')' closes nothing");
  says("[a", "ends too early");
  says("[z-a]", "goes backwards");
  says("[]", "no characters");
  says("a^b", "may only stand at the ends");
  says("(a$)b", "end of the expression");
  says("\\ud800", "surrogate");
  says("\\xZ1", "hexadecimal");
  says("a\\", "ends too early");
  says(std::string(200, '(') + std::string(200, ')'), "more than 100 deep");
  says("\xFF", "UTF-8");
}

TEST(ChoiceGrammar, TakesOneOfTheTexts) {
  const std::vector<std::string> choices = {"yes", "no", "not sure", ""};
  const Grammar g = choice_grammar(choices);
  EXPECT_EQ(fit(g, "no"), "yes");
  EXPECT_EQ(fit(g, "not"), "prefix");
  EXPECT_EQ(fit(g, "not sure"), "yes");
  EXPECT_EQ(fit(g, "nope"), "no");
  EXPECT_EQ(fit(g, ""), "yes");
  EXPECT_NE(message_of([] { choice_grammar({}); }).find("empty"), std::string::npos);
}

TEST(ChoiceGrammar, TakesManyAndLongTexts) {
  std::vector<std::string> choices;
  for (int i = 0; i < 20'000; ++i) choices.push_back(std::to_string(i * 7));
  choices.push_back(std::string(100'000, 'x'));
  for (size_t i = 1; i < 500; ++i) choices.push_back(std::string(i, 'y'));
  const Grammar g = choice_grammar(choices);
  EXPECT_EQ(fit(g, "7777"), "yes");
  EXPECT_EQ(fit(g, "7778"), "prefix");
  EXPECT_EQ(fit(g, "77778"), "no");
  EXPECT_EQ(fit(g, std::string(100'000, 'x')), "yes");
  EXPECT_EQ(fit(g, std::string(499, 'y')), "yes");
  EXPECT_EQ(fit(g, std::string(500, 'y')), "no");
}

TEST(Gbnf, TakesWhatTheRulesTake) {
  const Grammar sums = gbnf_grammar(R"gbnf(# sums
root  ::= term ([-+] term)* "\n"?
term  ::= number |   # a comment
          "(" root ")"
number ::= "-"? ( "0" | [1-9]
  [0-9]{0,3} )
)gbnf");
  EXPECT_EQ(fit(sums, "1+(20-3)"), "yes");
  EXPECT_EQ(fit(sums, "((((1))))+0"), "yes");
  EXPECT_EQ(fit(sums, "1+("), "prefix");
  EXPECT_EQ(fit(sums, "01"), "no");
  EXPECT_EQ(fit(sums, "12345"), "no");
  const Grammar forms = gbnf_grammar(
      "root ::= \"\\x41\\u00e9\\\"\" [^\\]a-c\\\\] . {2} [\\[-\\]]{,2} un-used_1{2,}\n"
      "un-used_1 ::= \"u\"");
  EXPECT_EQ(fit(forms, "A\xC3\xA9\"d\xF0\x9F\x99\x82x[]uuu"), "yes");
  EXPECT_EQ(fit(forms, "A\xC3\xA9\"]"), "no");
  EXPECT_EQ(fit(gbnf_grammar("root ::= [\xE4\xBD\xA0-\xE5\xA5\xBD]+"), "\xE4\xBD\xA0"), "yes");
}

TEST(Gbnf, SaysWhatIsWrongAndWhere) {
  const auto says = [](std::string_view text, std::string_view part) {
    const std::string message = message_of([&] { gbnf_grammar(text); });
    EXPECT_NE(message.find(part), std::string::npos) << text << ": " << message;
  };
  says("a ::= \"x\"", "there is no rule 'root'");
  says("root ::= a\nb ::= \"x\"", "line 1, column 10: the rule 'a' is used and not defined");
  says("root ::= \"x\"\nroot ::= \"y\"", "line 2, column 1: the rule 'root' is defined twice");
  says("root = \"x\"", "column 6: expected '::='");
  says("root ::= \"x", "not closed");
  says("root ::= [x", "not closed");
  says("root ::= (\"x\"", "expected ')'");
  says("root ::= \"x\"{3,1}", "not possible");
  says("root ::= \"\\q\"", "'\\q' is not an escape");
  says("root ::= \"x\" )", "expected the end of the line");
  says("root ::= <think>", "angle brackets");
  says("root ::= root \"x\" | \"y\"", "'root' calls itself before it has read anything");
  says("root ::= a? root \"x\" | \"y\"\na ::= \"b\"", "calls itself");
  says("root ::= a\na ::= b\nb ::= \"\"? a \"x\" | \"y\"", "left recursion");
  says("root ::= \"x\" root", "never ends");
  says("root ::= \"a\" | b\nb ::= \"x\" b", "'b' never ends");
  says("root ::= [^\\x00-\\U0010FFFF]", "no characters");
}

TEST(Gbnf, LongChainsOfRulesAreReadInOneGo) {
  std::string text = "root ::= r0\n";
  for (int i = 0; i < 20'000; ++i) text += fmt::format("r{} ::= \"a\" r{} | \"b\"\n", i, i + 1);
  text += "r20000 ::= \"c\"\n";
  const Grammar g = gbnf_grammar(text);
  EXPECT_EQ(fit(g, "aaab"), "yes");
  EXPECT_EQ(fit(g, std::string(20'000, 'a') + "c"), "yes");
}

TEST(Gbnf, EmptyPartsDoNotLoop) {
  const Grammar g =
      gbnf_grammar("root ::= (a | b*)* \"x\"\na ::= \"\" | \"y\"\nb ::= (\"\"){3,9000} a");
  EXPECT_EQ(fit(g, "yyyx"), "yes");
  EXPECT_EQ(fit(g, "yyy"), "prefix");
  EXPECT_EQ(fit(gbnf_grammar("root ::= (\"a\"? \"b\"?){2,5000} \"c\""), "babac"), "yes");
}

}  // namespace
}  // namespace lathe::constraint
