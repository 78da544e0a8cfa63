// Templates give what the chat-template environment of transformers gives, and refuse what it
// refuses. Goldens: tools/make_template_goldens.py.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/chat_template.h"
#include "lathe/text/jinja/template.h"
#include "paths.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

Json goldens() {
  std::ifstream file(testing::tests_folder() / "text/goldens/templates.json");
  return Json::parse(file);
}

TEST(TemplateGoldens, SnippetsEqualJinja) {
  const Json all = goldens();
  ASSERT_EQ(all["snippets"].size(), 243u);
  for (const Json& snippet : all["snippets"]) {
    SCOPED_TRACE(snippet["template"].get<std::string>());
    try {
      const auto parsed = jinja::Template::parse(snippet["template"].get<std::string>(), "t");
      const std::string text = parsed.render(all["variables"]).text;
      if (snippet.contains("refused"))
        ADD_FAILURE() << "must be refused, gave " << text;
      else
        EXPECT_EQ(text, snippet["text"].get<std::string>());
    } catch (const Error& e) {
      EXPECT_TRUE(snippet.contains("refused")) << e.what();
      EXPECT_NE(std::string(e.what()).find("line "), std::string::npos) << e.what();
    }
  }
}

// [begin, end) in characters.
Json in_characters(const std::string& text, const std::vector<jinja::TextSpan>& spans) {
  Json out = Json::array();
  for (const jinja::TextSpan& s : spans)
    out.push_back(
        {count_characters(text.substr(0, s.begin)), count_characters(text.substr(0, s.end))});
  return out;
}

TEST(TemplateGoldens, ChatsEqualTransformers) {
  const Json all = goldens();
  ASSERT_EQ(all["chats"].size(), 9u);
  for (const Json& chat : all["chats"]) {
    const ChatTemplate parsed(chat["template"].get<std::string>(), "t",
                              {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
    for (const Json& c : chat["cases"]) {
      SCOPED_TRACE(chat["name"].get<std::string>() + " " + c["conversation"].dump());
      try {
        const ChatTemplate::Rendering rendering = parsed.render(c["conversation"]);
        ASSERT_FALSE(c.contains("refused")) << rendering.text;
        EXPECT_EQ(rendering.text, c["text"].get<std::string>());
        if (c.contains("spans")) {
          EXPECT_EQ(in_characters(rendering.text, *rendering.assistant), c["spans"]);
        }
      } catch (const Error& e) {
        EXPECT_TRUE(c.contains("refused")) << e.what();
      }
    }
  }
}

}  // namespace
}  // namespace lathe
