#include "lathe/infer/room.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace lathe {
namespace {

constexpr int64_t kLongestText = std::numeric_limits<int32_t>::max();

}  // namespace

Room::Room(const Transformer& model)
    : encoder_(model.config().body_traits().encoder),
      longest_prompt_(encoder_ ? model.longest_encoder_text() : model.longest_text()),
      longest_text_(model.longest_text()) {}

int64_t Room::new_tokens(int64_t length, bool last_is_read) const {
  const int64_t room = kLongestText - before(length);
  // A token that is not read needs no position.
  const int64_t unread = last_is_read ? 0 : 1;
  return longest_text_ ? std::min(room, *longest_text_ - before(length) + unread) : room;
}

std::string Room::of_prompt(int64_t length) const {
  if (!longest_prompt_ || length <= *longest_prompt_) return {};
  return fmt::format(
      "the prompt has {} tokens, but only {} positions were trained; shorten it to at most {}",
      length, *longest_prompt_, *longest_prompt_);
}

std::string Room::of_new_tokens(int64_t length, int64_t wanted, bool last_is_read) const {
  const int64_t most = new_tokens(length, last_is_read);
  if (wanted <= most) return {};
  const std::string limit = longest_text_ ? fmt::format("{} positions were trained", *longest_text_)
                                          : fmt::format("no text has more than {}", kLongestText);
  return fmt::format("{} new tokens do not fit after a prompt of {}: {}; ask for at most {}",
                     wanted, length, limit, most);
}

}  // namespace lathe
