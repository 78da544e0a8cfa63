#include "lathe/infer/room.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace lathe {

Room::Room(const Transformer& model)
    : encoder_(model.config().body_traits().encoder),
      longest_prompt_(encoder_ ? model.longest_encoder_text() : model.longest_text()),
      longest_text_(model.longest_text()) {}

int64_t Room::new_tokens(int64_t length) const {
  const int64_t room = std::numeric_limits<int32_t>::max() - before(length);
  // The last new token is not read again and needs no position.
  return longest_text_ ? std::min(room, *longest_text_ - before(length) + 1) : room;
}

std::string Room::of_prompt(int64_t length) const {
  if (!longest_prompt_ || length <= *longest_prompt_) return {};
  return fmt::format(
      "the prompt has {} tokens, but only {} positions were trained; shorten it to at most {}",
      length, *longest_prompt_, *longest_prompt_);
}

std::string Room::of_new_tokens(int64_t length, int64_t wanted) const {
  const int64_t most = new_tokens(length);
  if (wanted <= most) return {};
  return fmt::format(
      "{} new tokens do not fit after a prompt of {}: {} positions were trained; ask for at most {}",
      wanted, length, longest_text_.value_or(std::numeric_limits<int32_t>::max()), most);
}

}  // namespace lathe
