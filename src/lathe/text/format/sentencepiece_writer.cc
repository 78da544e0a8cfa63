#include "lathe/text/format/sentencepiece_writer.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <array>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/base64.h"
#include "lathe/text/byte_tokens.h"
#include "lathe/text/format/part_json.h"
#include "lathe/text/format/sentencepiece_reader.h"
#include "lathe/text/metaspace.h"
#include "lathe/text/model/char_bpe.h"
#include "lathe/text/model/unigram_model.h"
#include "lathe/text/normalize/charsmap.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

using text_json::Json;
using Type = SentencePieceFile::Type;
using NormalizerSpec = SentencePieceFile::NormalizerSpec;

void can(bool condition, std::string_view obstacle) {
  require(condition, ErrorKind::kFormat, "sentencepiece",
          "a SentencePiece model cannot hold this tokenizer: {}", obstacle);
}

// The steps of a Sequence, or the one step that there is.
std::vector<Json> steps_of(const Json& part, const char* list) {
  if (part.is_null()) return {};
  if (part.value("type", "") != "Sequence") return {part};
  std::vector<Json> steps;
  for (const Json& step : part[list])
    for (Json& inner : steps_of(step, list)) steps.push_back(std::move(inner));
  return steps;
}

// Words end at every white space, so the map must make a space of each.
void check_white_space(const CharsMap& map) {
  for (UChar32 c = 0x09; c < 0x110000; ++c) {
    if (!u_isUWhiteSpace(c) || c == ' ') continue;
    std::string text;
    append_utf8(text, static_cast<char32_t>(c));
    const auto match = map.longest(as_bytes(text), as_bytes(text) + text.size());
    can(match.length == text.size() && match.replacement == " ",
        fmt::format("words end at U+{:04X}, of which its character map makes no space", c));
  }
}

// Takes the steps of a normaliser in the only order in which a model file has them.
class NormalizerReader {
 public:
  explicit NormalizerReader(const TokenizerData& data)
      : steps_(steps_of(data.parts.normalizer, "normalizers")),
        splits_(steps_of(data.parts.pre_tokenizer, "pretokenizers")) {}

  NormalizerSpec read() {
    NormalizerSpec spec;
    spec.name = "identity";
    if (at_ < steps_.size() && steps_[at_].value("type", "") == "Precompiled") {
      spec.name = "user_defined";
      const auto map = from_base64(steps_[at_++].value("precompiled_charsmap", ""));
      spec.precompiled_charsmap = map.value_or("");
    }
    if (splits_by_white_space()) {
      can(at_ == steps_.size(), "its normaliser has more steps than a character map");
      check_white_space(CharsMap::parse(spec.precompiled_charsmap, "sentencepiece"));
      return spec;
    }
    read_marks(spec);
    return spec;
  }

 private:
  // As `transformers` wrote T5's.
  bool splits_by_white_space() const {
    return splits_.size() == 2 && splits_[0].value("type", "") == "WhitespaceSplit" &&
           splits_[1].value("type", "") == "Metaspace" &&
           splits_[1].value("prepend_scheme", "always") == "always" &&
           splits_[1].value("add_prefix_space", true);
  }
  bool takes(const Json& step) {
    if (at_ >= steps_.size() || steps_[at_] != step) return false;
    ++at_;
    return true;
  }
  void read_marks(NormalizerSpec& spec) {
    spec.remove_extra_whitespaces = takes(replace_json(ReplaceBy::kRegex, "^ +| +$", ""));
    can(!spec.remove_extra_whitespaces || takes(replace_json(ReplaceBy::kRegex, " {2,}", " ")),
        "white space is stripped but not squeezed");
    spec.add_dummy_prefix = takes({{"type", "Prepend"}, {"prepend", kSpaceMark}});
    can(takes(replace_json(ReplaceBy::kString, " ", kSpaceMark)) && at_ == steps_.size(),
        at_ < steps_.size()
            ? fmt::format("its normaliser has the step {}", steps_[at_].dump().substr(0, 100))
            : "its normaliser does not write \u2581 for spaces");
    const Json at_marks = {{"type", "Split"},
                           {"pattern", {{"String", kSpaceMark}}},
                           {"behavior", "MergedWithNext"},
                           {"invert", false}};
    for (const Json& split : splits_)
      can(split == at_marks,
          fmt::format("its pre-tokeniser has the step {}", split.dump().substr(0, 100)));
  }

  std::vector<Json> steps_, splits_;
  size_t at_ = 0;
};

// Scores that fall with the rank of the merges that make a piece, and behind these with the id.
std::vector<float> scores_by_rank(const CharBpe& model) {
  constexpr float kNone = 1;
  std::vector<float> scores(static_cast<size_t>(model.vocabulary().size()), kNone);
  float next = 0;
  for (const Merge& m : model.merges())
    if (float& score = scores[static_cast<size_t>(m.result)]; score == kNone) score = next--;
  for (float& score : scores)
    if (score == kNone) score = next--;
  return scores;
}

bool is_control(std::string_view token) {
  constexpr std::array kControl = {"<s>", "</s>", "<pad>"};
  return std::ranges::find(kControl, token) != kControl.end();
}

Type type_of(const TokenizerData& data, int32_t id, bool byte_fallback) {
  if (id == data.model->unknown_id()) return Type::kUnknown;
  if (const AddedToken* added = data.added_token(id)) {
    can(!added->single_word && !added->lstrip && !added->rstrip,
        fmt::format("'{}' takes white space along, or stands alone only", added->content));
    return added->special && is_control(added->content) ? Type::kControl : Type::kUserDefined;
  }
  if (byte_fallback && byte_of_token(data.spelling_of_token(id))) return Type::kByte;
  return Type::kNormal;
}

void add_pieces(const TokenizerData& data, SentencePieceFile& file,
                const std::vector<float>& scores) {
  can(data.model->unknown_id() >= 0, "it has no unknown token");
  file.unk_piece = data.spelling_of_token(data.model->unknown_id());
  for (int32_t id = 0; id < data.vocab_size; ++id) {
    can(data.has(id), fmt::format("there is no token with the id {}", id));
    const auto place = static_cast<size_t>(id);
    file.pieces.push_back({data.spelling_of_token(id), place < scores.size() ? scores[place] : 0,
                           type_of(data, id, file.byte_fallback)});
  }
}

void add_model(const TokenizerData& data, SentencePieceFile& file) {
  if (const auto* bpe = dynamic_cast<const CharBpe*>(data.model.get())) {
    const CharBpeOptions& o = bpe->options();
    can(bpe->may_cut() && !o.ignore_merges, "its words have affixes, or are looked up whole");
    can(o.byte_fallback || o.fuse_unknown, "each unknown character is a token of its own");
    file.model_type = SentencePieceFile::ModelType::kBpe;
    file.byte_fallback = o.byte_fallback;
    add_pieces(data, file, scores_by_rank(*bpe));
  } else if (const auto* unigram = dynamic_cast<const UnigramModel*>(data.model.get())) {
    std::vector<float> scores;
    for (const UnigramPiece& piece : unigram->pieces())
      scores.push_back(static_cast<float>(piece.score));
    file.model_type = SentencePieceFile::ModelType::kUnigram;
    file.byte_fallback = unigram->options().byte_fallback;
    add_pieces(data, file, scores);
  } else {
    can(false, fmt::format("its model is {}, expected BPE on characters or Unigram",
                           data.pre_tokenizer.byte_level() ? "BPE on bytes" : data.model->type()));
  }
}

// Merges of scores are all there are; a list may lack some, or have those of two pieces mixed.
void check_merges(const TokenizerData& data, const SentencePieceFile& file) {
  const auto* bpe = dynamic_cast<const CharBpe*>(data.model.get());
  if (bpe == nullptr) return;
  const Tokenizer made = sentencepiece_tokenizer(file, "sentencepiece");
  const auto& scored = dynamic_cast<const CharBpe&>(*made.data().model);
  can(scored.has_ranks() && std::ranges::equal(scored.merges(), bpe->merges(),
                                               [](const Merge& a, const Merge& b) {
                                                 return a.left == b.left && a.right == b.right &&
                                                        a.result == b.result;
                                               }),
      "its merges are not those that scores of its pieces give");
}

}  // namespace

SentencePieceFile sentencepiece_file_of(const Tokenizer& tokenizer) {
  const TokenizerData& data = tokenizer.data();
  if (data.sentencepiece) return data.sentencepiece->file;
  SentencePieceFile file;
  add_model(data, file);
  file.normalizer = NormalizerReader(data).read();
  check_merges(data, file);
  return file;
}

}  // namespace lathe
