// What errors say of rows that cannot be read.

#include "train/example_testing.h"

namespace lathe::testing {
namespace {

// The first bad row of a file is the one that the error names.
TEST_F(Examples, OfManyBadRowsTheFirstIsNamed) {
  std::string rows;
  for (int i = 0; i < 500; ++i)
    rows += i < 100 ? "{\"prompt\": \"P\", \"completion\": \"C\"}\n" : "{}\n";
  for (int again = 0; again < 3; ++again)
    EXPECT_NE(error_text([&] { read(rows); }).find("rows.jsonl:101] the row has the keys (none)"),
              std::string::npos);
}

TEST_F(Examples, OfIdsRefuseWhatIsNot) {
  expect_refusal(
      R"({"prompt_ids": 5, "completion_ids": [1]})",
      "[rows.jsonl:2] 'prompt_ids' is 5, expected a list; its keys are prompt_ids, completion_ids");
  expect_refusal(
      R"({"prompt_ids": [1], "completion_ids": "x"})",
      "[rows.jsonl:2] 'completion_ids' is \"x\", expected a list; its keys are prompt_ids, "
      "completion_ids");
  for (const char* id : {"-1", "1.5", "\"A\"", "null", "2147483648", "true", "[1]"})
    expect_refusal(
        fmt::format(R"({{"prompt_ids": [1, {}], "completion_ids": [1]}})", id),
        fmt::format("[rows.jsonl:2] 'prompt_ids' has {}, expected token ids from 0", id));
  expect_refusal(
      R"({"prompt_ids": [1], "completion_ids": [267]})",
      "[rows.jsonl:2] token 267 is outside the model's vocabulary of 267; the rows and the model "
      "must have one tokenizer");
  expect_refusal(
      R"({"prompt_ids": [2147483647], "completion_ids": [1]})",
      "[rows.jsonl:2] token 2147483647 is outside the model's vocabulary of 267; the rows and the "
      "model must have one tokenizer");
  expect_refusal(
      R"({"prompt_ids": [1], "chosen_ids": [1], "rejected_ids": [2]})",
      "[rows.jsonl:2] the row has no 'completion_ids', but the objective learns from single answers");
  expect_refusal(
      R"({"prompt_ids": [1], "completion_ids": [1, 2], "completion_mask": [1]})",
      "[rows.jsonl:2] 'completion_mask' has 1 numbers for the 2 ids of the answer, expected one for "
      "each");
  expect_refusal(
      R"({"prompt_ids": [1], "completion_ids": [1], "tool_mask": [0.5]})",
      "[rows.jsonl:2] 'tool_mask' has 0.5, expected 1 for ids that count and 0 for others");
  expect_refusal(R"({"prompt_ids": [1], "completion_ids": [1], "completion_mask": [true]})",
                 "[rows.jsonl:2] 'completion_mask' has true, expected finite numbers");
  options_.kind = ExampleKind::kPair;
  expect_refusal(
      R"({"prompt_ids": [1], "completion_ids": [1]})",
      "[rows.jsonl:2] 'chosen_ids' is missing, expected a list; its keys are prompt_ids, "
      "completion_ids");
  expect_refusal(R"({"prompt_ids": [1], "chosen_ids": [1], "rejected_ids": [2], "margin": "2"})",
                 "[rows.jsonl:2] 'margin' is \"2\", expected a finite number");
}

TEST_F(Examples, WithoutTheirJudgementAreRefused) {
  options_.kind = ExampleKind::kLabelled;
  for (const char* label : {"2", "\"good\"", "null", "0.5", "[]"})
    expect_refusal(
        fmt::format(R"({{"prompt_ids": [1], "completion_ids": [1], "label": {}}})", label),
        fmt::format("[rows.jsonl:2] 'label' is {}, expected true for a good answer or false for a "
                    "bad one",
                    label));
  expect_refusal(
      R"({"prompt": "HI", "completion": "YO"})",
      "[rows.jsonl:2] 'label' is null, expected true for a good answer or false for a bad one");
  options_.kind = ExampleKind::kRollout;
  expect_refusal(R"({"prompt": "HI", "completion": "YO"})",
                 "[rows.jsonl:2] 'reward' is null, expected a finite number");
  expect_refusal(R"({"prompt_ids": [1], "completion_ids": [1], "reward": true})",
                 "[rows.jsonl:2] 'reward' is true, expected a finite number");
  expect_refusal(R"({"prompt_ids": [1], "completion_ids": [1], "reward": 1, "group": "a"})",
                 "[rows.jsonl:2] 'group' is \"a\", expected an integer");
  expect_refusal(
      R"({"prompt_ids": [1], "completion_ids": [1, 2], "reward": 1, "old_logps": [-1]})",
      "[rows.jsonl:2] 'old_logps' has 1 numbers for the 2 ids of the answer, expected one for each");
  expect_refusal(R"({"prompt_ids": [1], "completion_ids": [1], "reward": 1, "old_values": [null]})",
                 "[rows.jsonl:2] 'old_values' has null, expected finite numbers");
}

TEST_F(Examples, OfWordsRefuseWhatIsNot) {
  const std::string at = "[rows.jsonl:2] ";
  expect_refusal("[1]", at + "the row is array, expected an object");
  expect_refusal(
      "{}",
      at + "the row has the keys (none); expected messages, conversations, instruction and output, "
           "prompt and completion, prompt, chosen and rejected, or prompt_ids and completion_ids");
  expect_refusal(
      R"({"text": "A", "meta": 1})",
      at + "the row has the keys text, meta; expected messages, conversations, instruction and "
           "output, prompt and completion, prompt, chosen and rejected, or prompt_ids and "
           "completion_ids");
  expect_refusal(R"({"prompt": "HI"})", at + "'completion' is missing");
  expect_refusal(R"({"prompt": "HI", "completion": null})", at + "'completion' is missing");
  expect_refusal(R"({"prompt": "HI", "completion": 5})", at + "'completion' is 5, expected a text");
  expect_refusal(R"({"prompt": 5, "completion": "A"})",
                 at + "'prompt' is 5, expected a list of messages");
  expect_refusal(R"({"prompt": [], "completion": "A"})",
                 at + "'prompt' is [], expected a list of messages");
  expect_refusal(R"({"messages": "HI"})", at + "'messages' is \"HI\", expected a list of messages");
  expect_refusal(R"({"messages": [5]})",
                 at + "a message is 5, expected {\"role\": …, \"content\": …}");
  expect_refusal(R"({"messages": [{"content": "HI"}]})",
                 at + "a message is {\"content\":\"HI\"}, expected {\"role\": …, \"content\": …}");
  expect_refusal(R"({"messages": [{"role": 5, "content": "HI"}]})",
                 at + "'role' is 5, expected a text");
  expect_refusal(R"({"conversations": [{"from": "human"}]})", at + "'value' is missing");
  expect_refusal(R"({"conversations": [{"from": ["human"], "value": "HI"}]})",
                 at + "'from' is [\"human\"], expected a text");
  expect_refusal(R"({"conversations": [{"from": "function_call", "value": "[5]"}]})",
                 at + "a function call is 5, expected {\"name\": …, \"arguments\": …}");
  EXPECT_NE(refusal(R"({"conversations": [{"from": "function_call", "value": "F"}]})")
                .find("rows.jsonl:2"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"messages": [{"role": "user", "content": "A"}], "tools": "none"})")
                .find("rows.jsonl:2"),
            std::string::npos);
  expect_refusal(R"({"messages": [{"role": "user", "content": "A"}], "chat_template_kwargs": 1})",
                 at + "'chat_template_kwargs' is 1, expected an object");
  expect_refusal(R"({"messages": [{"role": "user", "content": "A"}], "system": 1})",
                 at + "'system' is 1, expected a text");
  expect_refusal(R"({"instruction": "A"})", at + "'output' is missing");
  expect_refusal(R"({"instruction": 1, "output": "A"})",
                 at + "'instruction' is 1, expected a text");
  expect_refusal(R"({"instruction": "A", "input": [], "output": "A"})",
                 at + "'input' is [], expected a text");
  expect_refusal(R"({"instruction": "A", "output": "A", "history": [["B"]]})",
                 at + "'history' has [\"B\"], expected pairs of texts");
  expect_refusal(R"({"instruction": "A", "output": ["A", "B"]})",
                 at + "the row has 2 answers, but the objective learns from single answers");
  expect_refusal(R"({"prompt": "HI", "chosen": "A", "rejected": "B"})",
                 at + "the row has 2 answers, but the objective learns from single answers");
}

// Only a template writes these, and a text has none.
TEST_F(Examples, OfTextsRefuseWhatATemplateWouldWrite) {
  for (const char* field : {R"("system": "Be kind.")", R"("tools": "[{\"name\": \"T\"}]")",
                            R"("tools": [{"name": "T"}])", R"("chat_template_kwargs": {"x": 1})"}) {
    const std::string key = std::string(field).substr(1, std::string(field).find('"', 1) - 1);
    expect_refusal(
        fmt::format(R"({{"prompt": "HI", "completion": "YO", {}}})", field),
        fmt::format("[rows.jsonl:2] '{}' stands beside a prompt that is text, where no template "
                    "writes it; give the prompt as messages, or leave it out",
                    key));
  }
}

TEST_F(Examples, OfPairsOfWordsRefuseWhatIsNone) {
  options_.kind = ExampleKind::kPair;
  const std::string at = "[rows.jsonl:2] ";
  expect_refusal(R"({"prompt": "HI", "completion": "A"})", at + "'chosen' is missing");
  expect_refusal(R"({"prompt": "HI", "chosen": "A"})", at + "'rejected' is missing");
  expect_refusal(
      R"({"messages": [{"role": "user", "content": "A"}]})",
      at + "the row has 0 answers, but the objective learns from pairs of a chosen and a rejected "
           "answer");
  expect_refusal(
      R"({"chosen": "A", "rejected": "B"})",
      at +
          "'chosen' and 'rejected' have no prompt in common (no \"Assistant:\" after a blank line in "
          "what they share); give it as 'prompt'");
  expect_refusal(
      R"({"chosen": [{"role": "user", "content": "1"}], "rejected": [{"role": "user", "content": "2"}]})",
      at + "'chosen' and 'rejected' have no message in common that answers follow, and there is no "
           "'prompt'");
  expect_refusal(R"({"question": "HI", "response_chosen": "A"})",
                 at + "'response_rejected' is missing");
  options_.kind = ExampleKind::kLabelled;
  expect_refusal(R"({"messages": [{"role": "user", "content": "A"}], "label": 1})",
                 at + "the conversation does not end with an answer of the assistant");
  options_.kind = ExampleKind::kPrompt;
  expect_refusal(R"({"messages": [{"role": "assistant", "content": "A"}]})",
                 at + "there is no message to answer");
}

TEST_F(Examples, OfMessagesNeedATemplate) {
  std::filesystem::remove(folder_ / "chat_template.jinja");
  const std::string text = refusal(R"({"messages": [{"role": "user", "content": "A"}]})",
                                   R"({"prompt": "A", "completion": "B"})");
  EXPECT_NE(text.find("[rows.jsonl:2] the row has messages, but "), std::string::npos) << text;
  EXPECT_NE(
      text.find(
          " has no chat template to write them with (chat_template.jinja, or chat_template in "
          "tokenizer_config.json); put one there, or give rows of 'prompt' and 'completion' as text"),
      std::string::npos)
      << text;
}

TEST_F(Examples, OfWordsNeedATokenizer) {
  options_.tokenizer.reset();
  expect_refusal(
      R"({"prompt": "A", "completion": "B"})",
      "[rows.jsonl:2] the row has words, but there is no tokenizer; set data.tokenizer, or model.from "
      "to a folder that has one");
  options_.tokenizer = (folder_ / "nowhere").string();
  EXPECT_NE(refusal(R"({"prompt": "A", "completion": "B"})").find("nowhere"), std::string::npos);
}

// The prompt is not where the whole begins: nobody can say what the answer is.
TEST_F(Examples, OfATemplateThatChangesItsPromptAreRefused) {
  write_template("{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}");
  const std::string text =
      refusal(R"({"prompt": [{"role": "user", "content": "A"}], "completion": "B"})");
  EXPECT_NE(text.find("rows.jsonl:2] "), std::string::npos) << text;
  EXPECT_NE(
      text.find(
          "the chat template writes a prompt differently when its answer follows, so that the answer "
          "cannot be told from it; give rows of 'messages', or another template"),
      std::string::npos)
      << text;
  write_template("{{ raise_exception('roles must alternate') }}");
  EXPECT_NE(
      refusal(R"({"messages": [{"role": "user", "content": "A"}]})").find("roles must alternate"),
      std::string::npos);
}

TEST_F(Examples, OfNothingAreRefused) {
  EXPECT_EQ(
      error_text([&] { read(""); }),
      "[data.train] none of 0 rows can be learnt from: there are none; an example needs an answer with at "
      "least one token that is trained on, and at most train.seq_len = 0 tokens");
  options_.seq_len = 2;
  EXPECT_EQ(
      error_text([&] {
        read(R"({"prompt": "HI", "completion": "YO"}{"prompt": "HI", "completion": ""})");
      }),
      "[data.train] none of 2 rows can be learnt from: 1 empty_answer, 1 too_long; an example needs an "
      "answer with at least one token that is trained on, and at most train.seq_len = 2 tokens");
  EXPECT_NE(
      error_text([&] { read_examples({(folder_ / "none").string()}, options_); }).find("none"),
      std::string::npos);
}

TEST_F(Examples, OfBrokenJsonNameTheLine) {
  const std::string good = "{\"prompt\": \"A\", \"completion\": \"B\"}\n";
  EXPECT_NE(error_text([&] { read(good + "\n\n{\"prompt\": }\n"); }).find("rows.jsonl:4:"),
            std::string::npos);
  EXPECT_EQ(refusal("{\"prompt\": \"A\",\n\"prompt\": \"B\"}"),
            "[rows.jsonl:2] not valid JSON: key \"prompt\" is given twice");
  EXPECT_NE(error_text([&] { read("[" + good + good + "]"); }).find("rows.jsonl"),
            std::string::npos);
  EXPECT_NE(error_text([&] {
              read("{\"prompt\": \"\xff\", \"completion\": \"B\"}");
            }).find("rows.jsonl:1:"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
