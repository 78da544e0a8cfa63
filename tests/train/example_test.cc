// Rows of every form to prompts and answers: exact ids, what is learnt of them, what is left out, and what
// errors say.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "io/packing.h"
#include "io/temp_folder.h"
#include "lathe/base/parallel.h"
#include "lathe/base/rng.h"
#include "lathe/text/tokenizer.h"
#include "lathe/train/example/example_file.h"
#include "lathe/train/task/answer_data.h"
#include "text/sample_json.h"

namespace lathe::testing {
namespace {

using Json = nlohmann::ordered_json;

// The tokenizer has the bytes as ids and these special tokens behind its merges; texts of capital letters and
// digits have no merge in it.
constexpr int32_t kStart = kSampleSize, kTurnEnd = kSampleSize + 1, kEnd = kSampleSize + 2;
constexpr int64_t kVocabulary = kSampleSize + 3;

constexpr const char* kAdded =
    R"([{"id": 264, "content": "<S>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false},
        {"id": 265, "content": "<E>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}])";

// <S>u:TEXT<E> for each message; with `marked` the template says itself what the assistant wrote.
std::string chat_template(bool marked) {
  const std::string begin = marked ? "{% generation %}" : "",
                    end = marked ? "{% endgeneration %}" : "";
  return "{% if tools %}<S>{{ tools[0].name }}{% endif %}{% for m in messages %}<S>{{ m.role[0] }}:{% if "
         "m.role == 'assistant' %}" +
         begin +
         "{{ m.content }}{% for c in m.tool_calls or [] %}!{{ c.function.name }}{{ "
         "c.function.arguments.N }}{% endfor %}<E>" +
         end +
         "{% else %}{{ m.content }}<E>{% endif %}{% endfor %}{% if add_generation_prompt %}<S>a:{% endif "
         "%}";
}

// Of answers before the last it writes only what is behind "|".
constexpr const char* kForgetful =
    "{% for m in messages %}<S>{{ m.role[0] }}:{% if m.role == 'assistant' and not loop.last %}{{ "
    "m.content.split('|')[-1] }}{% else %}{{ m.content }}{% endif %}<E>{% endfor %}{% if "
    "add_generation_prompt %}<S>a:{% endif %}";

class Examples : public ::testing::Test {
 protected:
  Examples() {
    folder_.write("tokenizer.json", sample_json({.added = kAdded}));
    write_template(chat_template(true));
    options_.tokenizer = folder_.path().string();
    options_.vocab_size = kVocabulary;
    options_.eos_token_id = kEnd;
  }

  void write_template(const std::string& text) { folder_.write("chat_template.jinja", text); }

  ExampleSet read(const std::string& content, const char* name = "rows.jsonl") {
    said_.clear();
    return read_examples({folder_.write(name, content).string()}, options_,
                         Log([this](LogLevel, const std::string& text) { said_ += text + "\n"; }));
  }
  ExampleSet read_rows(const std::vector<Json>& rows) {
    std::string text;
    for (const Json& row : rows) text += row.dump() + "\n";
    return read(text);
  }

  // The ids as text: bytes as they are, special tokens as they are written, the end as $, other tokens in #.
  static std::string text_of(const std::vector<int32_t>& ids) {
    std::string text;
    for (const int32_t id : ids) {
      if (id == kStart)
        text += "<S>";
      else if (id == kTurnEnd)
        text += "<E>";
      else if (id == kEnd)
        text += "$";
      else if (id < 256)
        text += static_cast<char>(id);
      else
        text += fmt::format("#{}#", id);
    }
    return text;
  }
  // What is not learnt is in {}.
  static std::string text_of(const Answer& answer) {
    std::string text;
    EXPECT_EQ(answer.ids.size(), answer.trained.size());
    bool hidden = false;
    for (size_t i = 0; i < answer.ids.size(); ++i) {
      if (hidden != (answer.trained[i] == 0)) text += hidden ? "}" : "{";
      hidden = answer.trained[i] == 0;
      text += text_of({answer.ids[i]});
    }
    return text + (hidden ? "}" : "");
  }
  static std::string text_of(const Example& example) {
    std::string text = text_of(example.prompt);
    for (const Answer& answer : example.answers) text += " > " + text_of(answer);
    return text;
  }
  static std::vector<std::string> texts_of(const ExampleSet& set) {
    std::vector<std::string> all;
    for (const Example& example : set.examples) all.push_back(text_of(example));
    return all;
  }

  using Texts = std::vector<std::string>;
  void expect(const char* row, const Texts& want) { EXPECT_EQ(texts_of(read(row)), want) << row; }
  // The error of a file whose second row is this one.
  std::string refusal(const std::string& row, const char* before = nullptr) {
    const std::string first =
        before != nullptr ? before : R"({"prompt_ids": [1], "completion_ids": [2],
      "chosen_ids": [2], "rejected_ids": [3], "label": true, "reward": 1})";
    std::string text = error_text([&] { read(Json::parse(first).dump() + "\n" + row + "\n"); });
    const std::string path = folder_.path().string() + "/";
    for (size_t at; (at = text.find(path)) != std::string::npos;) text.erase(at, path.size());
    if (text.ends_with("/")) text.pop_back();
    return text;
  }
  void expect_refusal(const std::string& row, const std::string& want) {
    EXPECT_EQ(refusal(row), want) << row;
  }

  TempFolder folder_;
  ExampleOptions options_;
  std::string said_;
};

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
      R"({"prompt": "HI", "completion": "YO"})",
      R"({"prompt": "HI", "chosen": "YO", "rejected": "NO"})",
      R"({"prompt": [{"role": "user", "content": "HI"}], "answer": 4})",
      R"({"messages": [{"role": "user", "content": "HI"}, {"role": "assistant", "content": "YO"}]})",
      R"({"conversations": [{"from": "human", "value": "HI"}]})",
      R"({"instruction": "HI", "output": "YO"})",
      R"({"question": "HI", "response_chosen": "YO", "response_rejected": "NO"})",
      R"({"prompt_ids": [72, 73], "completion_ids": [9999999], "answer": "YO"})",
      R"({"chosen": "\n\nAssistant: YO", "rejected": "\n\nAssistant: NO"})"};
  std::string all;
  for (const char* row : rows) all += std::string(row) + "\n";
  const ExampleSet set = read(all);
  const std::string chat = "<S>u:HI<E><S>a:";
  EXPECT_EQ(texts_of(set),
            Texts({"HI", "HI", "HI", chat, chat, chat, chat, chat, "HI", "\n\nAssistant:"}));
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

// Prompt and answer are counted apart, and a prompt is never cut.
TEST_F(Examples, OfAnEncoderAreShortenedApart) {
  options_.encoder = true;
  options_.seq_len = 3;
  const char* rows = R"({"prompt_ids": [72, 73, 74], "completion_ids": [75, 76, 77]}
{"prompt_ids": [72], "completion_ids": [75, 76, 77, 78]}
{"prompt_ids": [72, 73, 74, 75], "completion_ids": [75]})";
  EXPECT_EQ(texts_of(read(rows)), Texts({"HIJ > KLM"}));
  for (const char* mode : {"keep_start", "keep_end"}) {
    options_.truncation = mode;
    const ExampleSet set = read(rows);
    EXPECT_EQ(texts_of(set), Texts({"HIJ > KLM", "H > KLM"})) << mode;
    EXPECT_EQ(set.skipped, (std::map<std::string, int64_t>{{"too_long", 1}})) << mode;
  }
}

TEST_F(Examples, AreShortenedAsAsked) {
  options_.seq_len = 4;
  const char* rows = R"({"prompt_ids": [72, 73], "completion_ids": [75, 76]}
{"prompt_ids": [72, 73], "completion_ids": [75, 76, 77], "completion_mask": [1, 0, 1]}
{"prompt_ids": [72, 73], "completion_ids": [75, 76, 77], "completion_mask": [0, 0, 1]}
{"prompt_ids": [72, 73, 74, 75], "completion_ids": [75]}
{"prompt_ids": [72], "completion_ids": [75, 76, 77, 78]})";
  const ExampleSet dropped = read(rows);
  EXPECT_EQ(texts_of(dropped), Texts({"HI > KL"}));
  EXPECT_EQ(dropped.skipped, (std::map<std::string, int64_t>{{"too_long", 4}}));
  EXPECT_EQ(said_, "of 5 rows these were left out: 4 too_long\n");
  options_.truncation = "keep_start";
  const ExampleSet start = read(rows);
  EXPECT_EQ(texts_of(start), Texts({"HI > KL", "HI > K{L}", "H > KLM"}));
  EXPECT_EQ(start.skipped, (std::map<std::string, int64_t>{{"too_long", 2}}));
  EXPECT_EQ(start.changed, (std::map<std::string, int64_t>{{"shortened to 4 tokens", 2}}));
  EXPECT_NE(said_.find("of 5 rows: 2 shortened to 4 tokens\n"), std::string::npos) << said_;
  options_.truncation = "keep_end";
  const ExampleSet end = read(rows);
  EXPECT_EQ(texts_of(end), Texts({"HI > KL", "I > K{L}M", "I > {KL}M", "IJK > K"}));
  EXPECT_EQ(end.skipped, (std::map<std::string, int64_t>{{"too_long", 1}}));
}

TEST_F(Examples, ShortenedKeepTheirNumbers) {
  options_.kind = ExampleKind::kRollout;
  options_.seq_len = 3;
  options_.truncation = "keep_start";
  const ExampleSet set = read(
      R"({"prompt_ids": [72], "completion_ids": [74, 75, 76], "reward": 1, "old_logps": [-1, -2, -3], "old_values": [1, 2, 3]})");
  EXPECT_EQ(texts_of(set), Texts({"H > JK"}));
  EXPECT_EQ(set.examples[0].old_logps, (std::vector<double>{-1, -2}));
  EXPECT_EQ(set.examples[0].old_values, (std::vector<double>{1, 2}));
}

TEST_F(Examples, OfPairsAreShortenedTogether) {
  options_.kind = ExampleKind::kPair;
  options_.seq_len = 4;
  const char* rows = R"({"prompt_ids": [72, 73], "chosen_ids": [75, 76, 77], "rejected_ids": [78]}
{"prompt_ids": [72, 73], "chosen_ids": [75, 76, 77], "rejected_ids": [75, 76, 78]}
{"prompt_ids": [72, 73], "chosen_ids": [75], "rejected_ids": [78, 79]})";
  options_.truncation = "keep_start";
  const ExampleSet set = read(rows);
  EXPECT_EQ(texts_of(set), Texts({"HI > KL > N", "HI > K > NO"}));
  // Where the cut leaves the same, there is nothing to prefer.
  EXPECT_EQ(set.skipped, (std::map<std::string, int64_t>{{"equal_answers", 1}}));
  options_.truncation = "keep_end";
  EXPECT_EQ(texts_of(read(rows)), Texts({"I > KLM > N", "I > KLM > KLN", "HI > K > NO"}));
}

TEST_F(Examples, LeftOutAreCounted) {
  options_.kind = ExampleKind::kPair;
  const ExampleSet set = read(R"({"prompt": "HI", "chosen": "A", "rejected": "B"}
{"prompt": "HI", "chosen": "A", "rejected": "A"}
{"prompt": "HI", "chosen": "", "rejected": "A"}
{"prompt": "HI", "chosen": "A", "rejected": ""}
{"prompt": "", "chosen": "A", "rejected": "B"}
{"prompt": [{"role": "user", "content": "1"}], "chosen": [{"role": "assistant", "content": null}], "rejected": "B"}
{"chosen": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "A"}], "rejected": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "A"}]}
{"chosen": "\n\nAssistant: A", "rejected": "\n\nAssistant: A"}
)");
  EXPECT_EQ(texts_of(set), Texts({"HI > A$ > B$"}));
  EXPECT_EQ(set.rows, 8);
  EXPECT_EQ(set.skipped, (std::map<std::string, int64_t>{
                             {"equal_answers", 3}, {"empty_answer", 3}, {"empty_prompt", 1}}));
  EXPECT_EQ(said_,
            "of 8 rows these were left out: 3 empty_answer, 1 empty_prompt, 3 equal_answers\n");
}

TEST_F(Examples, WithoutAnAnswerAreCounted) {
  const std::string good = R"({"prompt": "HI", "completion": "YO"})";
  const std::string none = R"({"messages": [{"role": "user", "content": "HI"}]})";
  EXPECT_EQ(read(good + none).skipped, (std::map<std::string, int64_t>{{"empty_answer", 1}}));
  options_.encoder = true;
  EXPECT_EQ(read(good + none).skipped, (std::map<std::string, int64_t>{{"empty_answer", 1}}));
}

// A tokenizer of words without an unknown token.
TEST_F(Examples, OfTextThatCannotBeEncodedAreCounted) {
  folder_.write("tokenizer.json",
                R"({"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
    "post_processor": null, "decoder": null,
    "model": {"type": "BPE", "vocab": {"A": 0, "B": 1}, "merges": []}})");
  const ExampleSet set = read(R"({"prompt": "A", "completion": "B"}
{"prompt": "A", "completion": "C"}
{"prompt": "ß", "completion": "B"})");
  EXPECT_EQ(set.examples.size(), 1U);
  EXPECT_EQ(set.skipped, (std::map<std::string, int64_t>{{"not_encodable", 2}}));
  EXPECT_NE(said_.find("left out, as others for the same reason: [" +
                       (folder_ / "rows.jsonl").string() + ":2]"),
            std::string::npos)
      << said_;
}

TEST_F(Examples, ComeFromCompressedFilesAndArrays) {
  const std::string lines = R"({"prompt": "HI", "completion": "A"}
{"prompt": "HI", "completion": "B"}
)";
  const std::string array =
      "[\n  {\"prompt\": \"HI\", \"completion\": \"A\"},\n  {\"prompt\": \"HI\",\n   "
      "\"completion\": \"B\"}\n]\n";
  const Texts want = {"HI > A$", "HI > B$"};
  std::set<std::string> hashes;
  for (const std::string& content :
       {lines, gzip_packed(lines), zstd_packed(lines), array, gzip_packed(array)}) {
    const ExampleSet set = read(content, "rows");
    EXPECT_EQ(texts_of(set), want);
    hashes.insert(set.hash);
  }
  EXPECT_EQ(hashes.size(), 5U);  // of the files as they are
  const ExampleSet set = read(array, "rows.json");
  EXPECT_EQ(set.examples[1].place, (folder_ / "rows.json").string() + ":3");
  const std::string a = folder_.write("a", lines).string(), b = folder_.write("b", array).string();
  EXPECT_EQ(texts_of(read_examples({a, b}, options_)),
            Texts({"HI > A$", "HI > B$", "HI > A$", "HI > B$"}));
  options_.rows = 3;
  EXPECT_EQ(texts_of(read_examples({a, b}, options_)), Texts({"HI > A$", "HI > B$", "HI > A$"}));
}

TEST_F(Examples, AreTheSameWithAnyNumberOfThreads) {
  std::string rows;
  for (int i = 0; i < 3000; ++i)
    rows +=
        fmt::format("{{\"prompt\": \"P{}\", \"completion\": \"{}\"}}\n", i, i % 7 == 0 ? "" : "C");
  std::vector<int64_t> progress;
  const std::string file = folder_.write("many", rows).string();
  const ExampleSet set =
      read_examples({file}, options_, {}, [&](int64_t count) { progress.push_back(count); });
  EXPECT_EQ(set.examples.size(), 3000U - 429U);
  EXPECT_EQ(set.skipped.at("empty_answer"), 429);
  EXPECT_EQ(progress, (std::vector<int64_t>{1024, 2048, 3000}));
  int64_t next = 0;
  for (const Example& example : set.examples) {
    if (next % 7 == 0) ++next;
    EXPECT_EQ(text_of(example), fmt::format("P{} > C$", next++));
  }
  EXPECT_EQ(error_text([&] {
              read_examples({file}, options_, {},
                            [](int64_t) { fail(ErrorKind::kUsage, "here", "stopped"); });
            }),
            "[here] stopped");
}

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

// Packs: nothing is lost or doubled, nothing is longer than a sequence, and no two packs could be one.
TEST(PackExamples, FillsSequences) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const Rng rng(seed);
    const auto seq_len = static_cast<int64_t>(8 + rng.below(0, 60));
    std::vector<Example> examples(1 + rng.below(1, 200));
    int64_t total = 0;
    for (size_t i = 0; i < examples.size(); ++i) {
      const auto length =
          static_cast<int64_t>(2 + rng.below(2 + i, static_cast<uint64_t>(seq_len - 1)));
      examples[i].prompt.assign(1, 1);
      examples[i].answers.push_back(
          {.ids = std::vector<int32_t>(static_cast<size_t>(length - 1), 2), .trained = {}});
      total += length;
    }
    const std::vector<Pack> packs = pack_examples(examples, seq_len);
    std::vector<int64_t> lengths;
    std::vector<const Example*> all;
    for (const Pack& pack : packs) {
      int64_t length = 0;
      for (const Example* e : pack) length += std::ssize(e->prompt) + std::ssize(e->answers[0].ids);
      EXPECT_LE(length, seq_len);
      EXPECT_TRUE(std::ranges::is_sorted(pack));
      lengths.push_back(length);
      all.insert(all.end(), pack.begin(), pack.end());
    }
    EXPECT_TRUE(std::ranges::is_sorted(packs, {}, [](const Pack& pack) { return pack.front(); }));
    std::ranges::sort(all);
    ASSERT_EQ(all.size(), examples.size());
    for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], &examples[i]);
    std::ranges::sort(lengths);
    if (lengths.size() > 1) {
      EXPECT_GT(lengths[0] + lengths[1], seq_len);
    }
    // Best fit decreasing is within 11/9 of the best, plus 4.
    EXPECT_LE(std::ssize(packs), (total + seq_len - 1) / seq_len * 3 / 2 + 4);
    EXPECT_EQ(pack_examples(examples, seq_len), packs);
  }
}

}  // namespace
}  // namespace lathe::testing
