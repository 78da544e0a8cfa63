#include "lathe/text/prune_tokenizer.h"

#include <algorithm>
#include <unordered_map>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/byte_tokens.h"
#include "lathe/text/format/sentencepiece_json.h"
#include "lathe/text/model/byte_bpe.h"
#include "lathe/text/model/char_bpe.h"
#include "lathe/text/model/unigram_model.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

using text_json::Json;

constexpr std::string_view kWhere = "prune";

// Calls f(id), an int32_t&, for the ids that a post-processor holds.
template <class F>
void for_each_id(Json& post, F&& f) {
  const auto visit = [&](Json& value) {
    auto id = value.get<int32_t>();
    f(id);
    value = id;
  };
  if (!post.is_object()) return;
  for (const char* key : {"cls", "sep"})
    if (post.contains(key)) visit(post[key][1]);
  if (post.contains("special_tokens"))
    for (Json& token : post["special_tokens"])
      for (Json& id : token["ids"]) visit(id);
  if (post.contains("processors"))
    for (Json& part : post["processors"]) for_each_id(part, f);
}

// The merges of a model, to find out which of them make a piece.
class PieceMaker {
 public:
  PieceMaker(const Vocabulary& vocabulary, const std::vector<Merge>& merges, bool shared_ranks,
             bool of_characters)
      : vocabulary_(vocabulary), merges_(merges), of_characters_(of_characters) {
    for (size_t i = 0; i < merges.size(); ++i) {
      const int32_t rank = shared_ranks ? merges[i].result : static_cast<int32_t>(i);
      ranked_[key(merges[i].left, merges[i].right)] = {rank, static_cast<int32_t>(i)};
    }
  }

  // The tokens that merging makes on the way to a piece; none for a piece that it does not make.
  std::vector<int32_t> parts_of(int32_t id) const {
    std::vector<int32_t> tokens = symbols_of(vocabulary_.bytes(id)), parts = tokens;
    for (const Merge* merge; (merge = next(tokens)) != nullptr;) {
      parts.push_back(merge->result);
      const auto at =
          std::adjacent_find(tokens.begin(), tokens.end(), [&](int32_t left, int32_t right) {
            return left == merge->left && right == merge->right;
          });
      *at = merge->result;
      tokens.erase(at + 1);
    }
    if (tokens != std::vector<int32_t>{id}) parts.clear();
    return parts;
  }

 private:
  struct Ranked {
    int32_t rank, merge;
  };
  static uint64_t key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }

  // Empty where a symbol has no token.
  std::vector<int32_t> symbols_of(std::string_view piece) const {
    std::vector<int32_t> symbols;
    for (size_t at = 0; at < piece.size();) {
      const std::string_view rest = piece.substr(at);
      const size_t n =
          of_characters_ ? decode_utf8(as_bytes(rest), as_bytes(rest) + rest.size()).size : 1;
      const auto id = vocabulary_.find(rest.substr(0, n));
      if (!id) return {};
      symbols.push_back(*id);
      at += n;
    }
    return symbols;
  }

  // The merge of lowest rank that can be made.
  const Merge* next(const std::vector<int32_t>& tokens) const {
    const Ranked* best = nullptr;
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      const auto found = ranked_.find(key(tokens[i], tokens[i + 1]));
      if (found == ranked_.end()) continue;
      if (best == nullptr || found->second.rank < best->rank) best = &found->second;
    }
    return best == nullptr ? nullptr : &merges_[static_cast<size_t>(best->merge)];
  }

  const Vocabulary& vocabulary_;
  const std::vector<Merge>& merges_;
  bool of_characters_;
  std::unordered_map<uint64_t, Ranked> ranked_;
};

class Pruning {
 public:
  Pruning(const TokenizerData& data, const std::vector<bool>& used, const PruneOptions& options)
      : data_(data), parts_(json_parts_of(data)), keep_(used) {
    if (options.keep_bytes) keep_bytes();
    keep(data.model->unknown_id());
    for (const AddedToken& token : data.added) keep(token.id);
    for_each_id(parts_.post_processor, [this](int32_t& id) { keep(id); });
    if (unigram_ != nullptr) keep_lowest_score();
    if (bytes_ != nullptr || characters_ != nullptr) keep_parts(used);
    number();
  }

  PrunedTokenizer pruned() && {
    std::vector<AddedToken> added = data_.added;
    for (AddedToken& token : added) token.id = new_id(token.id);
    for_each_id(parts_.post_processor, [this](int32_t& id) { id = new_id(id); });
    const Tokenizer made(std::make_unique<const TokenizerData>(model(), std::move(added),
                                                               std::move(parts_), kWhere));
    return {Tokenizer::from_json(made.to_json(), "the pruned tokenizer"), std::move(old_ids_)};
  }

 private:
  void keep(int32_t id) {
    if (id >= 0) keep_[static_cast<size_t>(id)] = true;
  }

  void keep_bytes() {
    if (bytes_ == nullptr) {
      for (const int32_t id : byte_token_ids(data_.vocabulary())) keep(id);
      return;
    }
    for (int b = 0; b < 256; ++b) {
      const char byte = static_cast<char>(b);
      keep(data_.vocabulary().find({&byte, 1}).value_or(-1));
    }
  }

  void keep_lowest_score() {
    const auto& pieces = unigram_->pieces();
    const auto lowest = std::ranges::min_element(pieces, {}, &UnigramPiece::score);
    keep(static_cast<int32_t>(lowest - pieces.begin()));
  }

  void keep_parts(const std::vector<bool>& used) {
    const PieceMaker maker(data_.vocabulary(), merges(),
                           bytes_ != nullptr && bytes_->options().shared_ranks,
                           characters_ != nullptr);
    for (int32_t id = 0; id < data_.vocabulary().size(); ++id) {
      if (!used[static_cast<size_t>(id)] || !data_.vocabulary().has(id)) continue;
      for (const int32_t part : maker.parts_of(id)) keep(part);
    }
  }

  void number() {
    new_ids_.assign(keep_.size(), -1);
    for (size_t id = 0; id < keep_.size(); ++id) {
      if (!keep_[id] || !data_.has(static_cast<int64_t>(id))) continue;
      new_ids_[id] = static_cast<int32_t>(old_ids_.size());
      old_ids_.push_back(static_cast<int32_t>(id));
    }
  }

  int32_t new_id(int32_t id) const { return new_ids_[static_cast<size_t>(id)]; }
  const std::vector<Merge>& merges() const {
    return bytes_ != nullptr ? bytes_->merges() : characters_->merges();
  }

  std::vector<Merge> kept_merges() const {
    std::vector<Merge> kept;
    for (const Merge& m : merges()) {
      const Merge merge = {new_id(m.left), new_id(m.right), new_id(m.result)};
      if (merge.left >= 0 && merge.right >= 0 && merge.result >= 0) kept.push_back(merge);
    }
    return kept;
  }

  Vocabulary kept_vocabulary() const {
    const Vocabulary& old = data_.vocabulary();
    std::vector<VocabularyEntry> entries;
    for (const int32_t id : old_ids_)
      if (old.has(id))
        entries.push_back({new_id(id), std::string(old.bytes(id)), old.is_literal(id)});
    return Vocabulary(entries, kWhere);
  }

  std::unique_ptr<const TokenModel> model() const {
    if (bytes_ != nullptr) {
      ByteBpeOptions options = bytes_->options();
      if (options.unknown) options.unknown = new_id(*options.unknown);
      return std::make_unique<ByteBpe>(kept_vocabulary(), kept_merges(), options);
    }
    if (characters_ != nullptr) {
      CharBpeOptions options = characters_->options();
      if (options.unknown) options.unknown = new_id(*options.unknown);
      return std::make_unique<CharBpe>(kept_vocabulary(), kept_merges(), options);
    }
    require(unigram_ != nullptr, ErrorKind::kUsage, kWhere,
            "this tokenizer's model is {}, which cannot be pruned; expected BPE or Unigram",
            data_.model->type());
    return unigram();
  }

  std::unique_ptr<const TokenModel> unigram() const {
    UnigramOptions options = unigram_->options();
    if (options.unknown_id >= 0) options.unknown_id = new_id(options.unknown_id);
    std::vector<UnigramPiece> pieces;
    for (const int32_t id : old_ids_)
      if (data_.vocabulary().has(id)) pieces.push_back(unigram_->pieces()[static_cast<size_t>(id)]);
    return std::make_unique<UnigramModel>(kept_vocabulary(), std::move(pieces), options, kWhere);
  }

  const TokenizerData& data_;
  TokenizerParts parts_;
  const ByteBpe* bytes_ = dynamic_cast<const ByteBpe*>(data_.model.get());
  const CharBpe* characters_ = dynamic_cast<const CharBpe*>(data_.model.get());
  const UnigramModel* unigram_ = dynamic_cast<const UnigramModel*>(data_.model.get());
  std::vector<bool> keep_;
  std::vector<int32_t> new_ids_, old_ids_;  // by old id, -1: gone; by new id
};

}  // namespace

PrunedTokenizer prune_tokenizer(const Tokenizer& old, const std::vector<bool>& used,
                                const PruneOptions& options) {
  require(static_cast<int64_t>(used.size()) == old.vocab_size(), ErrorKind::kConfig, kWhere,
          "{} ids are marked as used or not, expected {}", used.size(), old.vocab_size());
  return Pruning(old.data(), used, options).pruned();
}

}  // namespace lathe
