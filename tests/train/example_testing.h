// The fixture of the tests of rows: a tokenizer whose ids are bytes, and templates of a line.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "io/packing.h"
#include "io/temp_folder.h"
#include "lathe/base/parallel.h"
#include "lathe/base/rng.h"
#include "lathe/text/tokenizer.h"
#include "lathe/train/example/example_file.h"
#include "lathe/train/task/answer_data.h"
#include "text/sample_json.h"

namespace lathe::testing {

using Json = nlohmann::ordered_json;

// The tokenizer has the bytes as ids and these special tokens behind its merges; texts of capital letters and
// digits have no merge in it.
inline constexpr int32_t kStart = kSampleSize, kTurnEnd = kSampleSize + 1, kEnd = kSampleSize + 2;
inline constexpr int64_t kRowVocabulary = kSampleSize + 3;

inline constexpr const char* kAdded =
    R"([{"id": 264, "content": "<S>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false},
        {"id": 265, "content": "<E>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}])";

// <S>u:TEXT<E> for each message; with `marked` the template says itself what the assistant wrote.
inline std::string chat_template(bool marked) {
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
inline constexpr const char* kForgetful =
    "{% for m in messages %}<S>{{ m.role[0] }}:{% if m.role == 'assistant' and not loop.last %}{{ "
    "m.content.split('|')[-1] }}{% else %}{{ m.content }}{% endif %}<E>{% endfor %}{% if "
    "add_generation_prompt %}<S>a:{% endif %}";

class Examples : public ::testing::Test {
 protected:
  Examples() {
    folder_.write("tokenizer.json", sample_json({.added = kAdded}));
    write_template(chat_template(true));
    options_.tokenizer = folder_.path().string();
    options_.vocab_size = kRowVocabulary;
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

}  // namespace lathe::testing
