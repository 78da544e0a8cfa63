// How many tokens a model can take: what fits into the trained positions.
#pragma once

#include <optional>
#include <string>

#include "lathe/model/transformer.h"

namespace lathe {

class Room {
 public:
  explicit Room(const Transformer& model);

  // The most tokens of a prompt; absent if there is no limit.
  std::optional<int64_t> longest_prompt() const { return longest_prompt_; }
  // The most new tokens after a prompt of `length`, of which `length` fits itself. Only where
  // candidates are compared by what the model makes of them, the last new token is read, too.
  int64_t new_tokens(int64_t length, bool last_is_read = false) const;
  // The tokens of the decoder before the first new one: an encoder's prompt is not among them.
  int64_t before(int64_t length) const { return encoder_ ? 1 : length; }

  // What is wrong with a prompt that is too long ("prompt"), and with too many new tokens
  // ("max_new_tokens"), as the message of an Error; empty if nothing is.
  std::string of_prompt(int64_t length) const;
  std::string of_new_tokens(int64_t length, int64_t wanted, bool last_is_read = false) const;

 private:
  bool encoder_;
  std::optional<int64_t> longest_prompt_, longest_text_;
};

}  // namespace lathe
