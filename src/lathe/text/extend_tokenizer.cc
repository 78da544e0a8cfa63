#include "lathe/text/extend_tokenizer.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/byte_alphabet.h"
#include "lathe/text/byte_tokens.h"
#include "lathe/text/format/part_json.h"
#include "lathe/text/format/sentencepiece_json.h"
#include "lathe/text/model/byte_bpe.h"
#include "lathe/text/model/char_bpe.h"
#include "lathe/text/model/unigram_model.h"
#include "lathe/text/tokenizer_data.h"
#include "lathe/text/train/alphabet.h"
#include "lathe/text/train/corpus_counts.h"
#include "lathe/text/train/merge_learner.h"
#include "lathe/text/train/word_cutter.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "extend";

// New pieces and the merges that make them. The first pieces are characters, which none makes.
struct Growth {
  std::vector<std::string> pieces;
  std::vector<Merge> merges;
  int64_t characters = 0;
};

// What joining two pieces of a Unigram model adds to their scores: more than the rounding of sums,
// less than what tells segmentations apart.
constexpr double kJoinScore = 0x1p-20;

// A model, as far as its extension needs it.
class ExtensibleModel {
 public:
  explicit ExtensibleModel(const TokenModel& model)
      : bytes_(dynamic_cast<const ByteBpe*>(&model)),
        characters_(dynamic_cast<const CharBpe*>(&model)),
        unigram_(dynamic_cast<const UnigramModel*>(&model)),
        encoder_(model.encoder(whole_)) {
    const bool affixes = characters_ != nullptr && !characters_->may_cut();
    const bool known = bytes_ != nullptr || characters_ != nullptr || unigram_ != nullptr;
    require(known && !affixes, ErrorKind::kUsage, kWhere,
            "this tokenizer's model is {}{}, which cannot be extended; expected byte-level BPE, "
            "Unigram, or BPE on characters without a prefix or suffix of their own",
            model.type(), affixes ? " with affixes" : "");
  }

  bool of_characters() const { return bytes_ == nullptr; }
  bool byte_fallback() const {
    if (unigram_ != nullptr) return unigram_->options().byte_fallback;
    return characters_ != nullptr && characters_->options().byte_fallback;
  }

  void encode(std::string_view word, std::vector<int32_t>& out) {
    encoder_->encode(word, 0, nullptr, out);
  }

  std::unique_ptr<const TokenModel> extended(Vocabulary vocabulary, const Growth& growth) const {
    if (unigram_ != nullptr) return extended_unigram(std::move(vocabulary), growth);
    std::vector<Merge> merges = of_characters() ? characters_->merges() : bytes_->merges();
    merges.insert(merges.end(), growth.merges.begin(), growth.merges.end());
    if (of_characters())
      return std::make_unique<CharBpe>(std::move(vocabulary), std::move(merges),
                                       characters_->options());
    return std::make_unique<ByteBpe>(std::move(vocabulary), std::move(merges), bytes_->options());
  }

 private:
  // A new character scores as it did when it was unknown, and what is joined hardly more than its
  // parts: so the best segmentation is the old one, joined where it can be.
  std::unique_ptr<const TokenModel> extended_unigram(Vocabulary vocabulary,
                                                     const Growth& growth) const {
    using Role = UnigramPiece::Role;
    std::vector<UnigramPiece> pieces = unigram_->pieces();
    const size_t learned = static_cast<size_t>(vocabulary.size()) - growth.merges.size();
    // Beside new characters these are added tokens, which are found before the model sees a text.
    pieces.resize(learned, {unigram_->unknown_score(), Role::kNormal});
    const auto score = [&](int32_t id) { return pieces[static_cast<size_t>(id)].score; };
    for (const Merge& m : growth.merges)
      pieces.push_back({score(m.left) + score(m.right) + kJoinScore, Role::kNormal});
    return std::make_unique<UnigramModel>(std::move(vocabulary), std::move(pieces),
                                          unigram_->options(), kWhere);
  }

  const ByteBpe* bytes_;
  const CharBpe* characters_;
  const UnigramModel* unigram_;
  PreTokenizer whole_;  // cuts nothing
  std::unique_ptr<TextEncoder> encoder_;
};

// Learns the new pieces. The tokens that merging begins with have the ids of the old tokenizer;
// after them come new characters, then merges.
class PieceLearner {
 public:
  PieceLearner(const TokenizerData& data, ExtensibleModel& model, int64_t add)
      : data_(data), model_(model), add_(add) {
    for (int32_t id = 0; id < data.vocab_size; ++id) add_old_token(id);
  }

  Growth learn(CorpusCounts& counts, const TrainProgress& progress) {
    if (model_.of_characters()) add_characters(Alphabet(counts.shards(), 1.0));
    MergeText text(counts.shards(), [this](std::string_view word, std::vector<int32_t>& out) {
      add_symbols(word, out);
    });
    const auto beginning = static_cast<int64_t>(tokens_.texts.size());
    learn_merges(std::move(text), {.vocab_size = beginning + add_}, "", progress, tokens_,
                 [this](std::string_view piece) { return take(piece); });
    return choose();
  }

 private:
  // Special tokens and the tokens of single bytes are never part of a piece.
  void add_old_token(int32_t id) {
    const Vocabulary& vocabulary = data_.vocabulary();
    const bool ordinary = vocabulary.has(id) && !vocabulary.is_literal(id) &&
                          data_.added_token(id) == nullptr && id != data_.model->unknown_id();
    const std::string text(ordinary ? vocabulary.bytes(id) : "");
    const bool byte = model_.byte_fallback() && byte_of_token(text);
    tokens_.add(text, ordinary && !byte ? 1 : 0);
    if (data_.has(id)) taken_.insert(data_.spelling_of_token(id));
  }

  // Whether no token is spelled so; from then on one is.
  bool take(std::string_view piece) {
    return taken_.insert(model_.of_characters() ? std::string(piece) : to_byte_alphabet(piece))
        .second;
  }

  bool has_token(std::string_view character) const {
    const auto id = data_.vocabulary().find(character);
    return id && tokens_.lengths[static_cast<size_t>(*id)] > 0;
  }

  // Those that have no token, as far as one could save something.
  void add_characters(const Alphabet& alphabet) {
    std::vector<std::pair<int64_t, std::string>> wanted;  // what it saves
    for (const Alphabet::Character& c : alphabet.characters()) {
      std::string text;
      append_utf8(text, c.value);
      const int64_t saved = model_.byte_fallback() ? static_cast<int64_t>(text.size()) - 1 : 1;
      if (saved > 0 && !has_token(text)) wanted.emplace_back(c.count * saved, std::move(text));
    }
    std::ranges::stable_sort(wanted, std::greater(), [](const auto& w) { return w.first; });
    for (auto& [saved, text] : wanted) {
      if (static_cast<int64_t>(saved_.size()) == add_) break;
      if (!take(text)) continue;
      saved_.push_back(saved);
      new_characters_[text] = tokens_.add(text, 1);
    }
  }

  void add_symbols(std::string_view word, std::vector<int32_t>& out) {
    if (!model_.of_characters()) return add_old_symbols(word, out);
    const uint8_t *p = as_bytes(word), *end = p + word.size();
    size_t begin = 0;
    while (p < end) {
      const auto at = static_cast<size_t>(p - as_bytes(word));
      const std::string_view character = word.substr(at, decode_utf8(p, end).size);
      p += character.size();
      if (has_token(character)) continue;
      add_old_symbols(word.substr(begin, at - begin), out);
      const auto found = new_characters_.find(std::string(character));
      out.push_back(found == new_characters_.end() ? MergeText::kEnd : found->second);
      begin = at + character.size();
    }
    add_old_symbols(word.substr(begin), out);
  }

  void add_old_symbols(std::string_view part, std::vector<int32_t>& out) {
    const auto first = static_cast<ptrdiff_t>(out.size());
    if (!part.empty()) model_.encode(part, out);
    std::replace_if(
        out.begin() + first, out.end(),
        [&](int32_t id) { return tokens_.lengths[static_cast<size_t>(id)] == 0; }, MergeText::kEnd);
  }

  // The characters and merges that save most: both lists fall, and no merge saves more than what it
  // is made of.
  Growth choose() const {
    size_t characters = 0, merges = 0;
    const auto chosen = [&] { return static_cast<int64_t>(characters + merges); };
    while (chosen() < add_) {
      const int64_t character = characters < saved_.size() ? saved_[characters] : 0;
      const int64_t merge = merges < tokens_.counts.size() ? tokens_.counts[merges] : 0;
      if (character == 0 && merge == 0) break;
      ++(character >= merge ? characters : merges);
    }
    require(chosen() == add_, ErrorKind::kData, kWhere,
            "the text has only {} new pieces, {} were requested; give more text or ask for fewer",
            chosen(), add_);
    return numbered(characters, merges);
  }

  Growth numbered(size_t characters, size_t merges) const {
    const auto old = static_cast<size_t>(data_.vocab_size), learned = old + saved_.size();
    const auto id = [&](int32_t token) {
      const bool merged = static_cast<size_t>(token) >= learned;
      return merged ? token - static_cast<int32_t>(saved_.size() - characters) : token;
    };
    Growth growth;
    growth.characters = static_cast<int64_t>(characters);
    for (size_t i = 0; i < characters; ++i) growth.pieces.push_back(tokens_.texts[old + i]);
    for (size_t i = 0; i < merges; ++i) {
      const Merge& m = tokens_.merges[i];
      growth.pieces.push_back(tokens_.texts[learned + i]);
      growth.merges.push_back({id(m.left), id(m.right), id(m.result)});
    }
    return growth;
  }

  const TokenizerData& data_;
  ExtensibleModel& model_;
  const int64_t add_;
  MergedTokens tokens_;
  std::unordered_set<std::string> taken_;  // as tokens are spelled in a tokenizer.json
  std::unordered_map<std::string, int32_t> new_characters_;
  std::vector<int64_t> saved_;  // tokens, by new character
};

std::vector<std::string> searched_tokens(const TokenizerData& data) {
  std::vector<std::string> texts;
  for (const AddedToken& token : data.added)
    if (token.searched) texts.push_back(token.content);
  return texts;
}

// A model that takes a whole text for one word would learn pieces with spaces inside.
PreTokenizer word_splitter(const TokenizerData& data) {
  const text_json::Json& own = data.parts.pre_tokenizer;
  if (!own.is_null()) return PreTokenizer::from_json(own, kWhere);
  return PreTokenizer::from_json(metaspace_json("never"), kWhere);
}

// As a tokenizer.json; that of SentencePiece, too.
Tokenizer grown(const TokenizerData& data, const ExtensibleModel& model, const Growth& growth) {
  const Vocabulary& old = data.vocabulary();
  std::vector<VocabularyEntry> entries;
  for (int32_t id = 0; id < old.size(); ++id)
    if (old.has(id)) entries.push_back({id, std::string(old.bytes(id)), old.is_literal(id)});
  // The pieces of a Unigram model are a list without gaps.
  for (int32_t id = old.size(); id < data.vocab_size && data.model->type() == "Unigram"; ++id)
    entries.push_back({id, data.spelling_of_token(id)});
  for (size_t i = 0; i < growth.pieces.size(); ++i)
    entries.push_back({data.vocab_size + static_cast<int32_t>(i), growth.pieces[i]});
  const Tokenizer made(
      std::make_unique<const TokenizerData>(model.extended(Vocabulary(entries, kWhere), growth),
                                            data.added, json_parts_of(data), kWhere));
  return Tokenizer::from_json(made.to_json(), "the extended tokenizer");
}

void check(const Tokenizer& old, const ExtendOptions& options) {
  const int64_t room = Vocabulary::kMaxId + 1 - old.vocab_size();
  require(options.add >= 1 && options.add <= room, ErrorKind::kConfig, kWhere,
          "{} new pieces, expected 1 to {}", options.add, room);
  require(options.memory_bytes >= 1 << 20, ErrorKind::kConfig, kWhere,
          "a memory limit of {} bytes is too small, expected at least 1 MiB", options.memory_bytes);
}

// Merges for given pieces.
class PieceAdder {
 public:
  PieceAdder(const TokenizerData& data, ExtensibleModel& model) : data_(data), model_(model) {}

  int32_t add(const std::string& piece) {
    check(piece);
    for (;;) {
      const std::vector<int32_t> ids = ids_of(piece);
      require(std::ranges::find(ids, data_.model->unknown_id()) == ids.end(), ErrorKind::kConfig,
              kWhere, "'{}' has a byte that the tokenizer has no token for; leave it out", piece);
      if (ids.size() == 1) return ids[0];
      join(ids[0], ids[1], piece);
    }
  }
  const Growth& growth() const { return growth_; }

 private:
  void check(const std::string& piece) {
    require(!piece.empty(), ErrorKind::kConfig, kWhere, "an empty token cannot be found in a text");
    require(is_valid_utf8(piece), ErrorKind::kConfig, kWhere, "'{}' is not valid UTF-8",
            replace_invalid_utf8(piece));
    require(asked_.insert(piece).second, ErrorKind::kConfig, kWhere, "'{}' is listed twice", piece);
    const auto same = [&](const AddedToken& token) { return token.content == piece; };
    require(!data_.vocabulary().find(piece) && std::ranges::none_of(data_.added, same),
            ErrorKind::kConfig, kWhere, "'{}' is a token already; leave it out", piece);
  }

  // As the old model cuts the piece, and then the new merges in the order of their ranks.
  std::vector<int32_t> ids_of(const std::string& piece) {
    std::vector<int32_t> ids;
    model_.encode(piece, ids);
    for (;;) {
      size_t best = growth_.merges.size();
      for (size_t i = 0; i + 1 < ids.size(); ++i)
        if (const auto found = ranks_.find({ids[i], ids[i + 1]}); found != ranks_.end())
          best = std::min(best, found->second);
      if (best == growth_.merges.size()) return ids;
      apply(growth_.merges[best], ids);
    }
  }

  static void apply(const Merge& merge, std::vector<int32_t>& ids) {
    size_t to = 0;
    for (size_t i = 0; i < ids.size(); ++i, ++to) {
      const bool pair = i + 1 < ids.size() && ids[i] == merge.left && ids[i + 1] == merge.right;
      ids[to] = pair ? merge.result : ids[i];
      i += pair ? 1 : 0;
    }
    ids.resize(to);
  }

  std::string bytes_of(int32_t id) const {
    const int32_t fresh = id - data_.vocab_size;
    return fresh < 0 ? std::string(data_.vocabulary().bytes(id))
                     : growth_.pieces[static_cast<size_t>(fresh)];
  }

  // A merge of the two, to the token with their bytes if there is one.
  void join(int32_t left, int32_t right, const std::string& piece) {
    const std::string both = bytes_of(left) + bytes_of(right);
    const std::string spelled = to_byte_alphabet(both);
    for (const AddedToken& token : data_.added)
      require(token.content != spelled, ErrorKind::kConfig, kWhere,
              "'{}' would need a token that is spelled '{}', as an added token is; leave it out",
              piece, spelled);
    const auto there = data_.vocabulary().find(both);
    const auto fresh = std::ranges::find(growth_.pieces, both);
    int32_t result =
        there.value_or(data_.vocab_size + static_cast<int32_t>(fresh - growth_.pieces.begin()));
    if (!there && fresh == growth_.pieces.end()) {
      require(result <= Vocabulary::kMaxId, ErrorKind::kConfig, kWhere,
              "there are no ids left for '{}'", piece);
      growth_.pieces.push_back(both);
    }
    ranks_[{left, right}] = growth_.merges.size();
    growth_.merges.push_back({left, right, result});
  }

  const TokenizerData& data_;
  ExtensibleModel& model_;
  Growth growth_;
  std::map<std::pair<int32_t, int32_t>, size_t> ranks_;  // of the new merges
  std::set<std::string> asked_;
};

}  // namespace

TokenizerWithPieces add_pieces(const Tokenizer& old, std::span<const std::string> pieces) {
  const TokenizerData& data = old.data();
  ExtensibleModel model(*data.model);
  require(
      !model.of_characters(), ErrorKind::kUsage, kWhere,
      "this tokenizer's model is {}, to which single pieces cannot be added; expected byte-level BPE. "
      "Learn pieces from text instead, or add them as special tokens",
      data.model->type());
  PieceAdder adder(data, model);
  std::vector<int32_t> ids;
  for (const std::string& piece : pieces) ids.push_back(adder.add(piece));
  Tokenizer made = grown(data, model, adder.growth());
  for (size_t i = 0; i < pieces.size(); ++i) {
    const std::vector<int32_t> found = made.encode(pieces[i]);
    require(
        found == std::vector<int32_t>{ids[i]}, ErrorKind::kConfig, kWhere,
        "'{}' would never be found: what normalises and cuts texts before they are merged makes {} "
        "tokens of it; add it as a special token, which is found before that, or leave it out",
        pieces[i], found.size());
  }
  const auto added = std::ssize(adder.growth().pieces);
  return {std::move(made), std::move(ids), added - std::ssize(pieces)};
}

ExtendedTokenizer extend_tokenizer(const Tokenizer& old, const CorpusFeed& feed,
                                   const ExtendOptions& options, const TrainProgress& progress) {
  check(old, options);
  if (old.data().sentencepiece) {
    const ExtensibleModel model(*old.data().model);
    return extend_tokenizer(grown(old.data(), model, {}), feed, options, progress);
  }
  const TokenizerData& data = old.data();
  ExtensibleModel model(*data.model);
  const PreTokenizer splitter = word_splitter(data);
  const PartRules rules = {.split_scripts = model.of_characters()};
  const SentenceCutter cutter(data.normalizer, splitter, rules, SentenceUnit::kText,
                              searched_tokens(data));
  CorpusCounts counts(cutter, options.memory_bytes, {},
                      CountSteps::for_memory(options.memory_bytes));
  feed(counts);
  counts.finish();
  TrainStats stats = counts.stats();
  const Growth growth = PieceLearner(data, model, options.add).learn(counts, progress);
  return {grown(data, model, growth), stats, growth.characters};
}

}  // namespace lathe
