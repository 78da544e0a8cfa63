#include "lathe/text/token_sources.h"

#include <algorithm>
#include <functional>

#include "lathe/base/error.h"
#include "lathe/text/chat_tokens.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "--tokenizer";
constexpr std::string_view kExpected =
    "expected a tokenizer that `lathe tokenizer extend` made from the model's own, with the same "
    "tokens under the same ids, or one that `lathe tokenizer prune` made, with its id_map.json "
    "beside it";

// For messages.
std::string named(const Tokenizer& tokenizer, int64_t id) {
  if (!tokenizer.has(id)) return "no token";
  return fmt::format("'{}'", tokenizer.data().spelling_of_token(static_cast<int32_t>(id)));
}

bool same_token(const Tokenizer& a, int64_t in_a, const Tokenizer& b, int64_t in_b) {
  return a.has(in_a) && b.has(in_b) &&
         a.data().spelling_of_token(static_cast<int32_t>(in_a)) ==
             b.data().spelling_of_token(static_cast<int32_t>(in_b));
}

// Whether a token takes the row of an old one: it is the same, or was reserved for a later one.
bool takes_row(const Tokenizer& old, const Tokenizer& extended, int32_t id) {
  if (same_token(old, id, extended, id)) return true;
  const AddedToken* token = old.data().added_token(id);
  return token != nullptr && is_reserved_token(token->content) && extended.has(id);
}

// Cuts pieces of another vocabulary as the old model cuts pre-tokens: a piece may begin with the
// mark of a space, or be half a character, which no text around it could say.
class PieceCutter {
 public:
  explicit PieceCutter(const Tokenizer& old)
      : old_(old), encoder_(old.data().model->encoder(whole_)) {}

  std::vector<int32_t> cut(const TokenizerData& data, int32_t id) const {
    std::vector<int32_t> ids;
    const AddedToken* added = data.added_token(id);
    if (added != nullptr && added->special) return ids;
    try {
      if (added != nullptr)
        ids = old_.encode(added->content, {.special_as_text = true});
      else if (data.vocabulary().has(id) && !data.vocabulary().is_literal(id))
        encoder_->encode(data.vocabulary().bytes(id), 0, nullptr, ids);
    } catch (const Error& e) {
      // A character without a token, in a model that has none for what is unknown.
      if (e.kind() != ErrorKind::kData) throw;
      return {};
    }
    std::erase(ids, old_.data().model->unknown_id());
    return ids;
  }

 private:
  const Tokenizer& old_;
  PreTokenizer whole_;  // cuts nothing
  std::unique_ptr<TextEncoder> encoder_;
};

}  // namespace

SourcesByToken sources_of_extended(const Tokenizer& old, const Tokenizer& extended) {
  for (int32_t id = 0; id < old.vocab_size(); ++id)
    require(!old.has(id) || takes_row(old, extended, id), ErrorKind::kConfig, kWhere,
            "token {} is {} in this tokenizer and {} in the model's; {}", id, named(extended, id),
            named(old, id), kExpected);
  const PieceCutter cutter(old);
  SourcesByToken sources(static_cast<size_t>(extended.vocab_size()));
  for (int32_t id = 0; id < extended.vocab_size(); ++id) {
    auto& pieces = sources[static_cast<size_t>(id)];
    if (old.has(id))
      pieces = {id};
    else if (extended.has(id))
      pieces = cutter.cut(extended.data(), id);
  }
  return sources;
}

SourcesByToken sources_of_pruned(const Tokenizer& old, const Tokenizer& pruned,
                                 std::span<const int32_t> old_ids) {
  require(static_cast<int64_t>(old_ids.size()) == pruned.vocab_size(), ErrorKind::kConfig, kWhere,
          "id_map.json lists {} ids for {} tokens; {}", old_ids.size(), pruned.vocab_size(),
          kExpected);
  require(std::ranges::adjacent_find(old_ids, std::greater_equal()) == old_ids.end(),
          ErrorKind::kConfig, kWhere, "the ids in id_map.json do not ascend; {}", kExpected);
  SourcesByToken sources(old_ids.size());
  for (size_t id = 0; id < old_ids.size(); ++id) {
    const auto fresh = static_cast<int64_t>(id);
    require(same_token(pruned, fresh, old, old_ids[id]), ErrorKind::kConfig, kWhere,
            "id_map.json says that token {}, {}, was {}, which is {} in the model's tokenizer; {}",
            id, named(pruned, fresh), old_ids[id], named(old, old_ids[id]), kExpected);
    sources[id] = {old_ids[id]};
  }
  return sources;
}

}  // namespace lathe
