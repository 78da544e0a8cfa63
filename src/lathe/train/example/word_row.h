// The forms that rows of words have in the data sets of the field, brought to one:
//   messages [, tools]                         OpenAI
//   conversations of from/value or role/content [, tools, system]   ShareGPT
//   instruction, input, output [, system]      Alpaca; a list of two outputs is a pair
//   prompt, completion                         text, or messages
//   [prompt,] chosen, rejected                 text, or messages; beside conversations one message each
//   prompt, completions, labels                an answer in steps, of texts
//   prompt, answers [, ranking]                a ranking: texts, or answers to messages
//   question, response_chosen, response_rejected [, system]
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lathe/train/example/example.h"

namespace lathe {

// Either texts, which are encoded as they are, or messages, which a chat template writes.
struct WordRow {
  std::optional<std::string> prompt;  // of texts
  std::vector<std::string>
      texts;  // its answers: one, or from the best to the worst; the steps of one

  // {"messages": […], "tools": …, further variables of the template}: the prompt of `answers`, or,
  // if these are empty, a conversation whose assistant turns are learnt.
  nlohmann::ordered_json conversation = nlohmann::ordered_json::object();
  std::vector<nlohmann::ordered_json> answers;  // each a list of messages
};

// Errors: kData, naming `place`, for a row in none of these forms and for one that is not what `kind`
// needs.
WordRow read_word_row(const nlohmann::ordered_json& row, ExampleKind kind,
                      const std::string& place);

}  // namespace lathe
