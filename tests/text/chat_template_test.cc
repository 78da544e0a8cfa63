// Chat templates: where they are found, what becomes of a conversation before a template sees it, and
// which tokens the assistant wrote.
#include "lathe/text/chat_template.h"

#include <gtest/gtest.h>

#include "io/temp_folder.h"
#include "lathe/base/error.h"
#include "lathe/io/gguf_writer.h"
#include "lathe/text/format/gguf_vocabulary.h"
#include "lathe/text/token_spans.h"
#include "text/sample_json.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using testing::sample_json;

const Json kHello = {{"messages", {{{"role", "user"}, {"content", "x"}}}}};

std::string text_at(const std::string& path, const Json& conversation = kHello) {
  return ChatTemplate::load(path).text(conversation);
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(ChatTemplate, StandsInTheFolderInItsConfigurationOrInAGgufFile) {
  TempFolder folder;
  const std::string path = folder.path().string();
  EXPECT_FALSE(ChatTemplate::exists(path));
  EXPECT_NE(message_of([&] { text_at(path); }).find("has no chat template"), std::string::npos);
  folder.write("tokenizer_config.json",
               R"({"chat_template": "c{{ bos_token }}{{ eos_token }}{{ pad_token }}|",
                   "bos_token": {"content": "<s>"}, "eos_token": null})");
  folder.write("special_tokens_map.json", R"({"bos_token": "no", "eos_token": "</s>"})");
  EXPECT_EQ(text_at(path), "c<s></s>|");
  EXPECT_EQ(text_at((folder / "tokenizer.json").string()), "c<s></s>|");
  folder.write("tokenizer_config.json",
               R"({"chat_template": [{"name": "default", "template": "plain"},
                                     {"name": "tool_use", "template": "tools {{ tools|length }}"}]})");
  Json with_tools = kHello;
  with_tools["tools"] = Json::array({Json::object()});
  EXPECT_EQ(text_at(path), "plain");
  EXPECT_EQ(text_at(path, with_tools), "tools 1");
  folder.write("chat_template.jinja", "{{ messages[0].content }}{{ tools is none }}");
  EXPECT_EQ(text_at(path), "xTrue");
  folder.write("additional_chat_templates/tool_use.jinja", "more");
  EXPECT_EQ(text_at(path, with_tools), "more");
  EXPECT_EQ(ChatTemplate::load(path, "{{ eos_token }}").text(kHello), "</s>");
}

TEST(ChatTemplate, OfAGgufFileHasTheNamesOfItsTokens) {
  TempFolder folder;
  GgufVocabulary v;
  v.model = "gpt2";
  v.tokens = {"a", "<e>", "<b>"};
  v.bos = 2;
  v.eos = 1;
  v.chat_template = "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}";
  {
    GgufWriter writer(folder / "f.gguf");
    write_gguf_vocabulary(v, writer);
    writer.commit();
  }
  EXPECT_EQ(text_at((folder / "f.gguf").string()), "<b>x<e>");
  EXPECT_EQ(text_at(folder.path().string()), "<b>x<e>");
}

TEST(ChatTemplate, RefusesDamagedFilesAndConversations) {
  TempFolder folder;
  const std::string path = folder.path().string();
  const auto says = [&](const std::string& part, const Json& conversation) {
    const std::string message = message_of([&] { text_at(path, conversation); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  folder.write("tokenizer_config.json", R"({"chat_template": 5})");
  says("`chat_template` is a number", kHello);
  folder.write("tokenizer_config.json", R"({"chat_template": [{"name": "a"}]})");
  says("an entry of `chat_template`", kHello);
  folder.write("tokenizer_config.json", R"({"chat_template": [{"name": "a", "template": "1"},
                                                            {"name": "b", "template": "2"}]})");
  says("none is called 'default'", kHello);
  folder.write("chat_template.jinja", "{{");
  says("line 1, column 1", kHello);
  folder.write("chat_template.jinja", "{{ messages[0].role }}");
  says("an object with `messages`", 5);
  says("an object with `messages`", Json::object());
  says("`messages` is a object", {{"messages", Json::object()}});
  says("has no messages", {{"messages", Json::array()}});
  says("message 2 is a string", {{"messages", {Json::object(), "x"}}});
  says("`tools` is a number", {{"messages", {Json::object()}}, {"tools", 3}});
}

TEST(ChatTemplate, DropsNullsAndKnowsOldNamesOfReasoning) {
  const ChatTemplate t("{{ messages[0] | tojson }}", "t", Json::object());
  EXPECT_EQ(t.text({{"messages", {{{"content", nullptr}, {"tool_calls", nullptr}, {"a", 1}}}}}),
            R"({"a": 1})");
  EXPECT_EQ(t.text({{"messages", {{{"a", 1}, {"reasoning", "r"}}}}}),
            R"({"thinking": "r", "a": 1, "reasoning": "r", "reasoning_content": "r"})");
}

Json conversation(std::initializer_list<std::pair<const char*, const char*>> turns) {
  Json messages = Json::array();
  for (const auto& [role, content] : turns)
    messages.push_back({{"role", role}, {"content", content}});
  return {{"messages", messages}};
}

std::string marked(const ChatTemplate& t, const Json& c) {
  const ChatTemplate::Rendering r = t.render(c);
  if (!r.assistant) return "unknown";
  std::string out = r.text;
  for (auto span = r.assistant->rbegin(); span != r.assistant->rend(); ++span)
    out.insert(span->end, "]").insert(span->begin, "[");
  return out;
}

TEST(ChatTemplate, FindsTurnsByWhatEachAdds) {
  const ChatTemplate t(
      "{% for m in messages %}<{{ m.role[0] }}>{{ m.content }};{% endfor %}"
      "{% if add_generation_prompt %}<a>{% endif %}",
      "t", Json::object());
  EXPECT_EQ(marked(t, conversation({{"user", "x"}, {"assistant", "y"}, {"user", "z"}})),
            "<u>x;<a>[y;]<u>z;");
  EXPECT_EQ(marked(t, conversation({{"user", "x"}})), "<u>x;");
  EXPECT_EQ(marked(t, conversation({{"assistant", "x"}})), "unknown");
  const ChatTemplate strips(
      "{% for m in messages %}{{ m.content if loop.last else '' }};{% endfor %}", "t",
      Json::object());
  EXPECT_EQ(marked(strips, conversation({{"user", "x"}, {"assistant", "y"}, {"user", "z"}})),
            "unknown");
  const ChatTemplate tagged(
      "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content "
      "}}{% endgeneration %}{% else %}{{ m.content }}{% endif %};{% endfor %}",
      "t", Json::object());
  EXPECT_EQ(marked(tagged, conversation({{"assistant", "x"}, {"user", "y"}, {"assistant", "z"}})),
            "[x];y;[z];");
}

TEST(ChatTemplate, MasksTokensThatShareACharacter) {
  const auto tokenizer = Tokenizer::from_json(sample_json({}), "sample");
  // " the" is one token; the answer begins behind its blank.
  ChatTemplate::Rendering r{"ab the\xC3\xA9", std::vector<jinja::TextSpan>{{3, 4}}};
  EncodedChat e = encode_chat(tokenizer, r);
  EXPECT_EQ(e.ids, tokenizer.encode(r.text));
  EXPECT_EQ(*e.assistant_mask, (std::vector<uint8_t>{0, 1, 0, 0}));
  // Both bytes of a character belong to it.
  r.assistant = {{6, 8}};
  EXPECT_EQ(*encode_chat(tokenizer, r).assistant_mask, (std::vector<uint8_t>{0, 0, 1, 1}));
  r.assistant.reset();
  EXPECT_FALSE(encode_chat(tokenizer, r).assistant_mask.has_value());
}

std::string spans_of(const Tokenizer& t, const std::string& text) {
  std::string out;
  for (const TokenSpan& s : encode_with_spans(t, text))
    out += fmt::format("{}-{} ", s.begin, s.end);
  return out;
}

TEST(TokenSpans, AreWhatEachTokenStandsFor) {
  const std::string added =
      R"([{"id": 300, "content": "<|x|>", "rstrip": true, "special": true, "normalized": false}])";
  const auto plain = Tokenizer::from_json(sample_json({.added = added}), "t");
  EXPECT_EQ(spans_of(plain, "the<|x|> \n the\xC3\xA9"), "0-3 3-11 11-14 14-16 14-16 ");
  EXPECT_EQ(spans_of(plain, ""), "");
  const auto folded =
      Tokenizer::from_json(sample_json({.normalizer = R"({"type": "Lowercase"})"}), "t");
  EXPECT_EQ(spans_of(folded, "THE AB"), "0-3 3-4 4-6 ");
  const auto stripped = Tokenizer::from_json(
      sample_json({.normalizer = R"({"type": "Strip", "strip_left": true, "strip_right": true})"}),
      "t");
  EXPECT_EQ(spans_of(stripped, "  the  "), "2-5 ");
  const auto prefixed = Tokenizer::from_json(
      sample_json({.pre_tokenizer =
                       R"({"type": "ByteLevel", "add_prefix_space": true, "use_regex": true})"}),
      "t");
  EXPECT_EQ(spans_of(prefixed, "the the"), "0-3 3-7 ");
}

}  // namespace
}  // namespace lathe
