// The tokens of a conversation: found in a template, added to tokenizers of every kind.
#include "lathe/text/chat_tokens.h"

#include <gtest/gtest.h>

#include "lathe/base/error.h"
#include "text/sample_json.h"

namespace lathe {
namespace {

using Found = std::vector<std::pair<std::string, bool>>;

Found found(std::string_view jinja) {
  Found out;
  for (const TokenToAdd& token : tokens_of_template(jinja))
    out.emplace_back(token.content, token.special);
  return out;
}

TEST(ChatTokens, AreWhatATemplateWrites) {
  EXPECT_EQ(
      found("{%- for m in messages -%}{{ '<|im_start|>' + m.role }}\n{% if m.x <y and z> 0 %}"
            "<think>\n{{ m.text }}</think>{% endif %}<|im_end|>{# <|not|> #}{%- endfor %}"),
      (Found{
          {"<|im_start|>", true}, {"<think>", false}, {"</think>", false}, {"<|im_end|>", true}}));
  EXPECT_EQ(
      found("<start_of_turn>user\n[INST] <<SYS>> a </SYS> [gMASK] [a] <a-b> [/INST]"),
      (Found{{"<start_of_turn>", true}, {"[INST]", true}, {"</SYS>", false}, {"[/INST]", true}}));
  EXPECT_EQ(found("{{ \"a \\\" <\uFF5CUser\uFF5C>\" }}{{ '<|im_start|>"),
            (Found{{"<\uFF5CUser\uFF5C>", true}, {"<|im_start|>", true}}));
  EXPECT_EQ(found("<||> <|a b|> <|" + std::string(100, 'a') + "|> <\uFF5C\xFF\uFF5C>{{ '\\"),
            Found());
}

struct Kind {
  const char *name, *json;
};
const Kind kKinds[] = {
    {"Unigram", R"({"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["a", -1],
["<|reserved_special_token_0|>", -9], ["b", -2]]}, "added_tokens": [{"id": 2, "content":
"<|reserved_special_token_0|>", "single_word": false, "lstrip": false, "rstrip": false,
"normalized": false, "special": true}]})"},
    {"WordLevel", R"({"model": {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0, "a": 1,
"b": 2}}, "added_tokens": [{"id": 3, "content": "<|reserved_special_token_7|>", "single_word":
false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}]})"},
};

TEST(ChatTokens, TakeThePlacesOfReservedOnes) {
  const std::vector<TokenToAdd> tokens = {{"<|user|>", true}, {"<think>", false}};
  for (const Kind& kind : kKinds) {
    const Tokenizer old = Tokenizer::from_json(kind.json, kind.name);
    const int32_t place = old.added_tokens().front().id;
    const TokenizerWithTokens made = add_tokens(old, tokens, 2);
    ASSERT_EQ(made.added.size(), 2u) << kind.name;
    EXPECT_EQ(made.took_places, 1) << kind.name;
    EXPECT_EQ(made.added[0].id, place) << kind.name;
    EXPECT_EQ(made.tokenizer.vocab_size(), old.vocab_size() + 3) << kind.name;
    EXPECT_FALSE(
        made.tokenizer.id_of(old.added_tokens().front().content == "<|reserved_special_token_0|>"
                                 ? "<|reserved_special_token_7|>"
                                 : "<|reserved_special_token_5|>"));
    EXPECT_TRUE(made.tokenizer.is_special(place)) << kind.name;
    EXPECT_FALSE(made.tokenizer.is_special(made.added[1].id)) << kind.name;
    for (const char* text : {"a", "b"})
      EXPECT_EQ(made.tokenizer.encode(text), old.encode(text)) << kind.name;
    EXPECT_EQ(made.tokenizer.encode("a<|user|>b<think>"),
              (std::vector<int32_t>{*old.id_of("a"), place, *old.id_of("b"), made.added[1].id}))
        << kind.name;
    EXPECT_TRUE(made.tokenizer.id_of(reserved_token(1))) << kind.name;
  }
}

TEST(ChatTokens, KeepTheIdsThatTheyHave) {
  const Tokenizer old = Tokenizer::from_json(testing::sample_json({}), "sample");
  const TokenizerWithTokens reserved = add_tokens(old, {}, 1);
  const int32_t id = reserved.tokenizer.id_of(reserved_token(0)).value();
  // A token that is an ordinary one becomes special where it is, and takes no place.
  const std::string ordinary = "a";
  const std::vector<TokenToAdd> tokens = {{ordinary, true}};
  const TokenizerWithTokens made = add_tokens(reserved.tokenizer, tokens, 0);
  EXPECT_EQ(made.took_places, 0);
  EXPECT_EQ(made.added.front().id, old.id_of(ordinary));
  EXPECT_EQ(made.tokenizer.vocab_size(), reserved.tokenizer.vocab_size());
  EXPECT_EQ(made.tokenizer.id_of(reserved_token(0)), id);
  EXPECT_EQ(add_tokens(made.tokenizer, tokens, 0).present, std::vector<std::string>{ordinary});
}

TEST(ChatTokens, RefusesWhatCannotBeTokens) {
  const Tokenizer old = Tokenizer::from_json(testing::sample_json({}), "sample");
  const auto refuses = [&](std::vector<TokenToAdd> tokens, int64_t reserve) {
    EXPECT_THROW(add_tokens(old, tokens, reserve), Error);
  };
  refuses({{"", true}}, 0);
  refuses({{"\xFF", true}}, 0);
  refuses({{"<x>", true}, {"<x>", false}}, 0);
  refuses({}, -1);
  refuses({}, int64_t{1} << 62);
}

}  // namespace
}  // namespace lathe
