// Where a chat template puts an answer: what stands before and behind it, found by rendering a short
// conversation. Internal to chat/.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "lathe/text/chat_template.h"

namespace lathe {

struct AnswerPlace {
  std::string prompt;  // with add_generation_prompt
  std::string before;  // up to a plain answer
  std::string behind;

  // What the answer is in the same conversation with another one. Throws kData, for `where`, if the
  // text does not begin like the others.
  std::string answer_in(std::string_view text, std::string_view where) const;
};

// One question and this answer.
std::string render_probe(const ChatTemplate& chat_template, const nlohmann::ordered_json& answer,
                         const nlohmann::ordered_json& tools);
AnswerPlace place_of_answer(const ChatTemplate& chat_template, const nlohmann::ordered_json& tools,
                            std::string_view where);

}  // namespace lathe
