// Rows of every form to prompts and answers: exact ids, and what is learnt of them.

#include "train/example_testing.h"

namespace lathe::testing {
namespace {

TEST_F(Examples, OfIdsAreAsTheyStand) {
  const ExampleSet set = read(R"({"prompt_ids": [72, 73], "completion_ids": [74, 75, 264]}
{"prompt_ids": [72], "completion_ids": [74, 75, 76], "completion_mask": [1, 0, 1], "tool_mask": [1, 1, 0]}
{"prompt_ids": [72], "completion_ids": [74], "completion_mask": null, "anything": {"else": []}}
)");
  EXPECT_EQ(texts_of(set), Texts({"HI > JK<S>", "H > J{KL}", "H > J"}));
  EXPECT_EQ(set.examples[1].place, (folder_ / "rows.jsonl").string() + ":2");
  EXPECT_EQ(set.rows, 3);
  EXPECT_TRUE(set.skipped.empty());
  EXPECT_EQ(said_, "");
}

TEST_F(Examples, OfIdsNeedNoTokenizer) {
  options_.tokenizer.reset();
  expect(R"({"prompt_ids": [72], "completion_ids": [74]})", {"H > J"});
  options_.tokenizer = (folder_ / "nowhere").string();
  expect(R"({"prompt_ids": [72], "completion_ids": [74], "note": "no \"messages\""})", {"H > J"});
}

TEST_F(Examples, OfPairsOfIds) {
  options_.kind = ExampleKind::kPair;
  const ExampleSet set =
      read(R"({"prompt_ids": [72], "chosen_ids": [74, 75], "rejected_ids": [76], "margin": 0.5}
{"prompt_ids": [72], "chosen_ids": [74], "rejected_ids": [76]})");
  EXPECT_EQ(texts_of(set), Texts({"H > JK > L", "H > J > L"}));
  EXPECT_EQ(set.examples[0].margin, 0.5);
  EXPECT_FALSE(set.examples[1].margin.has_value());
}

TEST_F(Examples, OfLabelledIds) {
  options_.kind = ExampleKind::kLabelled;
  const ExampleSet set =
      read_rows({{{"prompt_ids", {72}}, {"completion_ids", {74}}, {"label", true}},
                 {{"prompt_ids", {72}}, {"completion_ids", {74}}, {"label", 0}}});
  EXPECT_EQ(set.examples.at(0).label, true);
  EXPECT_EQ(set.examples.at(1).label, false);
}

TEST_F(Examples, OfRecordedRollouts) {
  options_.kind = ExampleKind::kRollout;
  const ExampleSet set = read(
      R"({"prompt_ids": [72], "completion_ids": [74, 75], "reward": -1.5, "group": 7, "old_logps": [-1, -0.5], "old_values": [0.25, 3], "tool_mask": [0, 1]}
{"prompt_ids": [72], "completion_ids": [74, 75], "reward": 2}
{"prompt": "H", "completion": "J", "reward": 3, "group": 1})");
  EXPECT_EQ(texts_of(set), Texts({"H > {J}K", "H > JK", "H > J$"}));
  EXPECT_EQ(set.examples[0].reward, -1.5);
  EXPECT_EQ(set.examples[0].group, 7);
  EXPECT_EQ(set.examples[0].old_logps, (std::vector<double>{-1, -0.5}));
  EXPECT_EQ(set.examples[0].old_values, (std::vector<double>{0.25, 3}));
  EXPECT_EQ(set.examples[1].group, 0);
  EXPECT_TRUE(set.examples[1].old_logps.empty());
  EXPECT_EQ(set.examples[2].reward, 3);
  EXPECT_EQ(set.examples[2].group, 1);
}

TEST_F(Examples, OfMessagesLearnWhatTheTemplateMarks) {
  for (const bool marked : {true, false}) {
    SCOPED_TRACE(marked);
    write_template(chat_template(marked));
    expect(
        R"({"messages": [{"role": "user", "content": "HI"}, {"role": "assistant", "content": "YO"}]})",
        {"<S>u:HI<E><S>a: > YO<E>"});
    expect(
        R"({"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "1"},
            {"role": "assistant", "content": "A"}, {"role": "user", "content": "2"},
            {"role": "assistant", "content": "B"}, {"role": "user", "content": "3"}]})",
        {"<S>s:S<E><S>u:1<E><S>a: > A<E>{<S>u:2<E><S>a:}B<E>"});
    expect(
        R"({"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "A"}],
            "tools": [{"name": "T"}]})",
        {"<S>T<S>u:1<E><S>a: > A<E>"});
  }
}

TEST_F(Examples, OfMessagesWithoutHistoryLearnTheLastAnswer) {
  options_.mask_history = true;
  const char* row = R"({"messages": [{"role": "user", "content": "1"},
      {"role": "assistant", "content": "A"}, {"role": "user", "content": "2"},
      {"role": "assistant", "content": "BC"}]})";
  expect(row, {"<S>u:1<E><S>a:A<E><S>u:2<E><S>a: > BC<E>"});
  write_template(kForgetful);
  expect(row, {"<S>u:1<E><S>a:A<E><S>u:2<E><S>a: > BC<E>"});
}

// A template that strips earlier thoughts: each turn is a row, as the model will see it.
TEST_F(Examples, OfAForgetfulTemplateAreOneForEachTurn) {
  write_template(kForgetful);
  const char* row = R"({"messages": [{"role": "user", "content": "1"},
      {"role": "assistant", "content": "T|A"}, {"role": "user", "content": "2"},
      {"role": "assistant", "content": "U|B"}]})";
  const ExampleSet set = read(std::string(row) + row);
  EXPECT_EQ(texts_of(set),
            Texts({"<S>u:1<E><S>a: > T|A<E>", "<S>u:1<E><S>a:A<E><S>u:2<E><S>a: > U|B<E>",
                   "<S>u:1<E><S>a: > T|A<E>", "<S>u:1<E><S>a:A<E><S>u:2<E><S>a: > U|B<E>"}));
  EXPECT_EQ(set.rows, 2);
  EXPECT_EQ(set.changed,
            (std::map<std::string, int64_t>{{"conversations became a row for each turn", 2}}));
  EXPECT_EQ(said_, "of 2 rows: 2 conversations became a row for each turn\n");
}

TEST_F(Examples, OfShareGpt) {
  expect(
      R"({"conversations": [{"from": "system", "value": "S"}, {"from": "human", "value": "HI"},
          {"from": "gpt", "value": "YO"}]})",
      {"<S>s:S<E><S>u:HI<E><S>a: > YO<E>"});
  expect(R"({"system": "S", "conversations": [{"from": "human", "value": "HI"},
             {"from": "gpt", "value": "YO"}]})",
         {"<S>s:S<E><S>u:HI<E><S>a: > YO<E>"});
  // The system's text stands once.
  expect(R"({"system": "S", "conversations": [{"from": "system", "value": "Z"},
             {"from": "human", "value": "HI"}, {"from": "chatgpt", "value": "YO"}]})",
         {"<S>s:Z<E><S>u:HI<E><S>a: > YO<E>"});
  for (const char* arguments :
       {R"("{\"name\": \"F\", \"arguments\": {\"N\": 7}}")",
        R"({"name": "F", "arguments": {"N": 7}})", R"([{"name": "F", "arguments": {"N": 7}}])"})
    expect(
        (std::string(R"({"conversations": [{"from": "human", "value": "HI"},
               {"from": "function_call", "value": )") +
         arguments + R"(}, {"from": "observation", "value": "9"}, {"from": "gpt", "value": "YO"}],
               "tools": "[{\"name\": \"T\"}]"})")
            .c_str(),
        {"<S>T<S>u:HI<E><S>a: > !F7<E>{<S>t:9<E><S>a:}YO<E>"});
}

TEST_F(Examples, OfMiniMindsConversations) {
  expect(
      R"({"conversations": [{"role": "user", "content": "HI"}, {"role": "assistant", "content": "YO"}]})",
      {"<S>u:HI<E><S>a: > YO<E>"});
}

TEST_F(Examples, OfAlpaca) {
  expect(R"({"instruction": "DO", "input": "", "output": "OK"})", {"<S>u:DO<E><S>a: > OK<E>"});
  expect(R"({"instruction": "DO", "output": "OK"})", {"<S>u:DO<E><S>a: > OK<E>"});
  expect(R"({"instruction": "DO", "input": "IT", "output": "OK", "system": "S"})",
         {"<S>s:S<E><S>u:DO\n\nIT<E><S>a: > OK<E>"});
  expect(
      R"({"instruction": "DO", "input": null, "output": "OK", "history": [["1", "A"], ["2", "B"]]})",
      {"<S>u:1<E><S>a:A<E><S>u:2<E><S>a:B<E><S>u:DO<E><S>a: > OK<E>"});
  options_.kind = ExampleKind::kPair;
  expect(R"({"instruction": "DO", "input": "IT", "output": ["OK", "NO"]})",
         {"<S>u:DO\n\nIT<E><S>a: > OK<E> > NO<E>"});
}

TEST_F(Examples, OfPromptsAndCompletions) {
  expect(R"({"prompt": "HI ", "completion": "YO"})", {"HI  > YO$"});
  expect(R"({"prompt": "<S>", "completion": "<E>"})", {"<S> > <E>$"});
  // Encoded apart: "th" across the border is no token.
  expect(R"({"prompt": "t", "completion": "h"})", {"t > h$"});
  expect(R"({"prompt": "th", "completion": "th"})", {"#256# > #256#$"});
  expect(
      R"({"prompt": [{"role": "user", "content": "HI"}], "completion": [{"role": "assistant", "content": "YO"}]})",
      {"<S>u:HI<E><S>a: > YO<E>"});
  expect(R"({"prompt": [{"role": "user", "content": "HI"}], "completion": "YO"})",
         {"<S>u:HI<E><S>a: > YO<E>"});
  expect(
      R"({"prompt": [{"role": "user", "content": "HI"}], "completion": {"role": "assistant", "content": "YO"},
             "system": "S"})",
      {"<S>s:S<E><S>u:HI<E><S>a: > YO<E>"});
  options_.eos_token_id.reset();
  expect(R"({"prompt": "HI", "completion": "YO"})", {"HI > YO"});
}

TEST_F(Examples, OfWordsThatNameTheFieldOfIds) {
  expect(R"({"prompt": "prompt_ids", "completion": "YO"})", {"prompt_ids > YO$"});
}

TEST_F(Examples, OfPairsOfWords) {
  options_.kind = ExampleKind::kPair;
  expect(R"({"prompt": "HI", "chosen": "YO", "rejected": "NO", "margin": 2})", {"HI > YO$ > NO$"});
  for (const bool marked : {true, false}) {
    write_template(chat_template(marked));
    expect(
        R"({"prompt": [{"role": "user", "content": "HI"}], "chosen": [{"role": "assistant", "content": "YO"}],
               "rejected": [{"role": "assistant", "content": "NO"}]})",
        {"<S>u:HI<E><S>a: > YO<E> > NO<E>"});
    // Whole dialogues.
    expect(
        R"({"chosen": [{"role": "user", "content": "HI"}, {"role": "assistant", "content": "YO"}],
               "rejected": [{"role": "user", "content": "HI"}, {"role": "assistant", "content": "NO"}]})",
        {"<S>u:HI<E><S>a: > YO<E> > NO<E>"});
    // Beside conversations, one message each.
    expect(
        R"({"conversations": [{"from": "human", "value": "HI"}], "chosen": {"from": "gpt", "value": "YO"},
               "rejected": {"from": "gpt", "value": "NO"}})",
        {"<S>u:HI<E><S>a: > YO<E> > NO<E>"});
    // Several turns behind the prompt are all of the answer.
    expect(R"({"prompt": [{"role": "user", "content": "HI"}],
               "chosen": [{"role": "assistant", "content": "A"}, {"role": "user", "content": "2"},
                          {"role": "assistant", "content": "B"}],
               "rejected": "NO"})",
           {"<S>u:HI<E><S>a: > A<E><S>u:2<E><S>a:B<E> > NO<E>"});
  }
  expect(R"({"chosen": "\n\nHuman: HI\n\nAssistant: YO\n\nHuman: 2\n\nAssistant: Y1",
             "rejected": "\n\nHuman: HI\n\nAssistant: YO\n\nHuman: 2\n\nAssistant: N2"})",
         {"\n\nHuman: HI\n\nAssistant: YO\n\nHuman: 2\n\nAssistant: >  Y1$ >  N2$"});
  expect(R"({"question": "HI", "response_chosen": "YO", "response_rejected": "NO", "system": "S"})",
         {"<S>s:S<E><S>u:HI<E><S>a: > YO<E> > NO<E>"});
}

// One dialogue goes on where the other ends: both keep an answer.
TEST_F(Examples, OfADialogueThatGoesOn) {
  options_.kind = ExampleKind::kPair;
  expect(R"({"chosen": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "A"}],
             "rejected": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "A"},
                          {"role": "user", "content": "2"}, {"role": "assistant", "content": "B"}]})",
         {"<S>u:1<E><S>a: > A<E> > A<E><S>u:2<E><S>a:B<E>"});
}

TEST_F(Examples, OfLabelledWords) {
  options_.kind = ExampleKind::kLabelled;
  const ExampleSet set = read(
      R"({"prompt": "HI", "completion": "YO", "label": true}
{"messages": [{"role": "user", "content": "HI"}, {"role": "assistant", "content": "NO"}], "label": false})");
  EXPECT_EQ(texts_of(set), Texts({"HI > YO$", "<S>u:HI<E><S>a: > NO<E>"}));
  EXPECT_EQ(set.examples[0].label, true);
  EXPECT_EQ(set.examples[1].label, false);
}

TEST_F(Examples, OfPromptsKeepTheirRows) {
  options_.kind = ExampleKind::kPrompt;
  const char* rows[] = {
      R"({"prompt": "HI", "answer": "YO", "system": "calculator"})",
      R"({"prompt": "HI", "tools": "a calculator, which is no JSON"})",
      R"({"prompt": "HI", "completion": "YO"})",
      R"({"prompt": "HI", "chosen": "YO", "rejected": "NO"})",
      R"({"prompt": [{"role": "user", "content": "HI"}], "answer": 4})",
      R"({"messages": [{"role": "user", "content": "HI"}, {"role": "assistant", "content": "YO"}]})",
      R"({"conversations": [{"from": "human", "value": "HI"}]})",
      R"({"messages": [{"role": "user", "content": "HI"}], "tools": "[{\"name\": \"TOOL\"}]"})",
      R"({"instruction": "HI", "output": "YO"})",
      R"({"question": "HI", "response_chosen": "YO", "response_rejected": "NO"})",
      R"({"prompt_ids": [72, 73], "completion_ids": [9999999], "answer": "YO"})",
      R"({"chosen": "\n\nAssistant: YO", "rejected": "\n\nAssistant: NO"})"};
  std::string all;
  for (const char* row : rows) all += std::string(row) + "\n";
  const ExampleSet set = read(all);
  const std::string chat = "<S>u:HI<E><S>a:";
  EXPECT_EQ(texts_of(set), Texts({"HI", "HI", "HI", "HI", chat, chat, chat, "<S>TOOL" + chat, chat,
                                  chat, "HI", "\n\nAssistant:"}));
  for (size_t i = 0; i < set.examples.size(); ++i) EXPECT_EQ(set.examples[i].row, rows[i]);
}

// The prompt is what the encoder reads; each turn is an example.
TEST_F(Examples, OfAnEncoderHaveThePromptAlone) {
  options_.encoder = true;
  expect(R"({"prompt": "HI", "completion": "YO"})", {"HI > YO$"});
  const char* dialogue = R"({"messages": [{"role": "user", "content": "1"},
      {"role": "assistant", "content": "A"}, {"role": "user", "content": "2"},
      {"role": "assistant", "content": "B"}]})";
  for (const bool marked : {true, false}) {
    write_template(chat_template(marked));
    expect(dialogue, {"<S>u:1<E><S>a: > A<E>", "<S>u:1<E><S>a:A<E><S>u:2<E><S>a: > B<E>"});
  }
  options_.mask_history = true;
  expect(dialogue, {"<S>u:1<E><S>a:A<E><S>u:2<E><S>a: > B<E>"});
}

}  // namespace
}  // namespace lathe::testing
