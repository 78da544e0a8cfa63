// A chat with a random model: thoughts have a budget or are ended by the reader, calls can be read back.
#include "lathe/chat/chat_session.h"

#include <gtest/gtest.h>

#include "chat/tool_testing.h"
#include "constraint/schema_validator.h"
#include "io/temp_folder.h"
#include "lathe/base/error.h"
#include "model/grid.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using namespace testing;

class Chat : public ::testing::Test {
 protected:
  Chat() {
    ModelConfig config = tiny_config();
    config.vocab_size = tool_tokenizer().vocab_size();
    config.max_position_embeddings = 2048;
    config.eos_token_id = id_of("<end>");
    model_ = make_model(config, DType::kF32, Device::kCpu);
    config_.temperature = 1.5;
    config_.max_new_tokens = 300;
    config_.logit_bias = {{id_of("</think>"), -100.0}, {id_of("\""), 6.0}, {id_of("}"), 6.0}};
    conversation_.add_user("Hello");
  }
  ChatAnswer answer(ChatSession& session, int64_t enough = -1) {
    int64_t tokens = 0;
    return session.answer(
        conversation_, [&](const AnswerPart& part) { parts_.push_back(part); },
        [&](bool thinking) {
          return thinking && ++tokens == enough ? ChatWish::kThinkNoMore : ChatWish::kGoOn;
        });
  }
  std::unique_ptr<Transformer> model_;
  GenerationConfig config_;
  Conversation conversation_;
  std::vector<AnswerPart> parts_;
  const ChatTemplate template_ = tool_template(kHermes, "<think>\n");
};

TEST_F(Chat, ThinksUpToTheBudgetAndThenCalls) {
  Json tools = weather_tools();
  ChatSession session(*model_, tool_tokenizer(), template_, config_, {.context = 2000}, {}, {},
                      {.tools = tools,
                       .tool_choice = {.kind = ToolChoice::Kind::kRequired},
                       .thinking_budget = 12});
  int called = 0;
  for (int i = 0; i < 20 && called < 3; ++i) {
    conversation_.undo();
    conversation_.add_user("Hello " + std::to_string(i));
    parts_.clear();
    const ChatAnswer a = answer(session);
    EXPECT_EQ(a.thinking_tokens, 12);
    if (a.reason != FinishReason::kStopToken) continue;
    ++called;
    EXPECT_TRUE(a.message.content.empty());
    ASSERT_FALSE(a.message.tool_calls.empty());
    std::string arguments;
    for (const AnswerPart& part : parts_)
      if (part.kind == AnswerPart::Kind::kCallArguments && part.call == 0) arguments += part.text;
    EXPECT_EQ(arguments, a.message.tool_calls[0].arguments);
    conversation_.add_answer(a.turn);
    for (size_t call = 0; call < a.message.tool_calls.size(); ++call)
      EXPECT_TRUE(conversation_.add_tool_result("good"));
    // What the tool said is answered freely.
    EXPECT_TRUE(answer(session).message.tool_calls.empty());
  }
  EXPECT_EQ(called, 3);
}

TEST_F(Chat, ThinksUntilTheReaderHasEnough) {
  config_.ignore_eos = true;
  ChatSession session(*model_, tool_tokenizer(), template_, config_, {.context = 2000});
  EXPECT_EQ(answer(session).thinking_tokens, 300);
  const ChatAnswer a = answer(session, 7);
  EXPECT_EQ(a.thinking_tokens, 7);
  EXPECT_EQ(a.new_tokens, 300);
}

TEST_F(Chat, StreamsAConversationThatItsMemoryDoesNotHold) {
  config_.ignore_eos = true;
  config_.max_new_tokens = 40;
  const auto talk = [&](const std::optional<Streaming>& streaming) {
    conversation_ = {};
    ChatSession session(*model_, tool_tokenizer(), template_, config_, {.context = 64}, {}, {},
                        {.streaming = streaming});
    for (int turn = 0; turn < 8; ++turn) {
      conversation_.add_user("Hello again and again");
      const ChatAnswer a = answer(session);
      EXPECT_TRUE(!streaming || a.new_tokens == 40);
      conversation_.add_answer(a.turn);
    }
  };
  EXPECT_NO_THROW(talk(Streaming{24, 4}));
  EXPECT_THROW(talk({}), Error);
}

TEST_F(Chat, RefusesAtOnceWhatNoAnswerCouldHave) {
  config_.temperature = 1;
  config_.penalty_alpha = 0.6;
  const auto refused = [&](const ChatAbilities& abilities) {
    return error_text([&] {
      const ChatSession session(*model_, tool_tokenizer(), template_, config_, {.context = 500}, {},
                                {}, abilities);
    });
  };
  EXPECT_TRUE(refused({}).starts_with("[top_k] 0, but contrastive search"));
  config_.top_k = 3;
  EXPECT_EQ(refused({}), "no error");
  EXPECT_TRUE(refused({.streaming = Streaming{24, 4}}).starts_with("[penalty_alpha] "));
}

TEST_F(Chat, SearchesContrastively) {
  config_.temperature = 1;
  config_.top_k = 3;
  config_.penalty_alpha = 0.6;
  config_.max_new_tokens = 20;
  ChatSession session(*model_, tool_tokenizer(), template_, config_, {.context = 2000});
  EXPECT_NE(session.description().find("of hidden states"), std::string::npos);
  const ChatAnswer a = answer(session), again = answer(session);
  EXPECT_GT(a.new_tokens, 0);
  EXPECT_EQ(a.message.content, again.message.content);
  EXPECT_GT(again.cached_tokens, 0);
}

// As GLM-4.6 does. The thought is still told from the answer.
TEST_F(Chat, RefusesABudgetForThoughtsThatBeginWithBlanks) {
  const ChatTemplate blanks(
      "{%- for m in messages %}<role>{{ m.role }}:{% if m.reasoning_content %}{{ '\n' }}<think>"
      "{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}<end>{% endfor %}"
      "{% if add_generation_prompt %}<role>assistant:{% endif %}",
      "t", Json::object());
  const auto open = [&](ChatAbilities abilities) {
    const ChatSession session(*model_, tool_tokenizer(), blanks, config_, {.context = 500}, {}, {},
                              std::move(abilities));
  };
  EXPECT_EQ(error_text([&] { open({}); }), "no error");
  EXPECT_EQ(
      error_text([&] { open({.thinking_budget = 3}); }),
      "[thinking_budget] the chat template writes blanks before the tag that begins a thought, "
      "and only a thought that begins with its tag can be bounded; leave it out, or give "
      "another --chat-template");
}

TEST_F(Chat, RefusesWhatTheTemplateDoesNotHave) {
  const ChatTemplate plain("{{ messages[-1].content }}", "t", Json::object());
  const auto open = [&](ChatAbilities abilities) {
    ChatSession(*model_, tool_tokenizer(), plain, config_, {.context = 500}, {}, {},
                std::move(abilities));
  };
  EXPECT_NO_THROW(open({}));
  EXPECT_TRUE(
      error_text([&] { open({.thinking_budget = 3}); })
          .starts_with("[thinking_budget] the chat template and the vocabulary have no tags, of "
                       "one token each"));
  EXPECT_THROW(open({.tools = weather_tools()}), Error);
}

}  // namespace
}  // namespace lathe
