#include "lathe/text/tokenizer.h"

#include <mutex>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {

TokenizerData::TokenizerData(std::unique_ptr<const TokenModel> token_model,
                             std::vector<AddedToken> added_tokens, TokenizerParts json_parts,
                             std::string_view origin,
                             std::unique_ptr<const SentencePieceParts> from_sentencepiece)
    : model(std::move(token_model)),
      added(std::move(added_tokens)),
      parts(std::move(json_parts)),
      decoder(Decoder::from_json(parts.decoder, origin)),
      sentencepiece(std::move(from_sentencepiece)) {
  normalizer = Normalizer::from_json(parts.normalizer, origin);
  pre_tokenizer = PreTokenizer::from_json(parts.pre_tokenizer, origin);
  joins_bytes = pre_tokenizer.byte_level() && lathe::joins_bytes(parts.decoder);
  std::sort(added.begin(), added.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  vocab_size = vocabulary().size();
  if (!added.empty()) vocab_size = std::max(vocab_size, added.back().id + 1);
  added_by_id.assign(static_cast<size_t>(vocab_size), -1);

  std::vector<std::string> raw_texts, normalized_texts;
  std::vector<AddedToken> raw, normalized;
  for (size_t i = 0; i < added.size(); ++i) {
    const AddedToken& token = added[i];
    int32_t& place = added_by_id[token.id];
    if (place >= 0)
      fail(ErrorKind::kFormat, "tokenizer", "{}: id {} is given to two added tokens, '{}' and '{}'",
           origin, token.id, added[place].content, token.content);
    place = static_cast<int32_t>(i);
    if (!token.searched) continue;
    if (token.normalized) {
      std::string buffer;
      normalized_texts.emplace_back(token.verbatim ? token.content
                                                   : normalizer.apply(token.content, buffer).text);
      normalized.push_back(token);
    } else {
      raw_texts.push_back(token.content);
      raw.push_back(token);
    }
  }
  raw_matcher = AddedTokenMatcher(raw_texts, raw);
  normalized_matcher = AddedTokenMatcher(normalized_texts, normalized);
  read_post_processor(parts.post_processor, origin, prefix, suffix);
  for (const std::vector<int32_t>* ids : {&prefix, &suffix})
    for (int32_t id : *ids)
      require(id < vocab_size, ErrorKind::kFormat, "tokenizer",
              "{}: the post-processor adds id {}, but the vocabulary ends at {}", origin, id,
              vocab_size - 1);
}

std::string TokenizerData::spelling_of_token(int32_t id) const {
  if (const AddedToken* token = added_token(id)) return token->content;
  return spelling_of(vocabulary(), id, spelling());
}

std::string TokenizerData::text_in_the_middle(int32_t id) const {
  if (sentencepiece) {
    const SentencePieceFile::Piece& piece = sentencepiece->file.pieces[static_cast<size_t>(id)];
    return SentencePieceDecoder(sentencepiece->decoding).in_the_middle(piece.text, piece.type);
  }
  if (!joins_bytes) return decoder.text_in_the_middle(spelling_of_token(id));
  // An added token may be one of the vocabulary ("é" is the name of byte 0xE9): its bytes count.
  const bool bytes = vocabulary().has(id) && !vocabulary().is_literal(id);
  const AddedToken* token = bytes ? nullptr : added_token(id);
  return token ? token->content : std::string(vocabulary().bytes(id));
}

const TokenTexts& TokenizerData::texts() const {
  std::call_once(texts_made_, [this] {
    for (int32_t id = 0; id < vocab_size; ++id)
      texts_.add(has(id) ? text_in_the_middle(id) : std::string());
  });
  return texts_;
}

struct Tokenizer::Pool {
  std::mutex mutex;
  std::vector<Encoder> idle;
};

Tokenizer::Tokenizer(std::unique_ptr<const TokenizerData> data)
    : data_(std::move(data)), pool_(std::make_unique<Pool>()) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Encoder Tokenizer::encoder() const { return Encoder(*data_); }

std::vector<int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::optional<Encoder> encoder;
  {
    const std::lock_guard lock(pool_->mutex);
    if (!pool_->idle.empty()) {
      encoder.emplace(std::move(pool_->idle.back()));
      pool_->idle.pop_back();
    }
  }
  if (!encoder) encoder.emplace(*data_);
  std::vector<int32_t> ids;
  encoder->encode(text, options, ids);
  const std::lock_guard lock(pool_->mutex);
  pool_->idle.push_back(std::move(*encoder));
  return ids;
}

int64_t Tokenizer::vocab_size() const { return data_->vocab_size; }

bool Tokenizer::has(int64_t id) const { return data_->has(id); }

void Tokenizer::require_token(int32_t id) const {
  require(
      has(id), ErrorKind::kData, "tokenizer",
      "id {} is not in the vocabulary of {} tokens; was the text encoded with another tokenizer?",
      id, data_->vocab_size);
}

std::string Tokenizer::token_bytes(int32_t id) const {
  require_token(id);
  return std::string(data_->texts().of(id));
}

bool Tokenizer::is_special(int32_t id) const {
  const AddedToken* added = data_->added_token(id);
  return added != nullptr && added->special;
}

std::optional<int32_t> Tokenizer::id_of(std::string_view token) const {
  for (const AddedToken& added : data_->added)
    if (added.content == token) return added.id;
  if (const auto id = data_->vocabulary().find(token)) return id;
  return data_->vocabulary().find_literal(token);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, const DecodeOptions& options) const {
  TextDecoder decoder(*this, options);
  std::string text;
  for (int32_t id : ids) decoder.push(id, text);
  decoder.finish(text);
  return text;
}

const std::vector<AddedToken>& Tokenizer::added_tokens() const { return data_->added; }
std::span<const int32_t> Tokenizer::prefix_ids() const { return data_->prefix; }
std::span<const int32_t> Tokenizer::suffix_ids() const { return data_->suffix; }

std::string Tokenizer::model_type() const { return std::string(data_->model->type()); }

int64_t Tokenizer::merge_count() const { return data_->model->merge_count(); }

std::string Tokenizer::pattern_name() const {
  for (const PatternInfo& info : kPreTokenizers)
    if (info.next == data_->pre_tokenizer.scanner()) return std::string(info.name);
  return "custom";
}

std::vector<int32_t> Tokenizer::byte_lengths() const {
  std::vector<int32_t> lengths(static_cast<size_t>(vocab_size()), 0);
  for (size_t id = 0; id < lengths.size(); ++id)
    if (has(static_cast<int64_t>(id)) && !is_special(static_cast<int32_t>(id)))
      lengths[id] = static_cast<int32_t>(token_bytes(static_cast<int32_t>(id)).size());
  return lengths;
}

TextDecoder::TextDecoder(const Tokenizer& tokenizer, const DecodeOptions& options)
    : tokenizer_(tokenizer), options_(options), texts_(tokenizer.data().texts()) {
  const TokenizerData& data = tokenizer.data();
  if (data.joins_bytes) {
    steady_ = true;
  } else if (data.sentencepiece) {
    sentencepiece_ = std::make_unique<SentencePieceDecoder>(data.sentencepiece->decoding);
  } else {
    stream_.emplace(data.decoder.stream());
  }
}
TextDecoder::TextDecoder(TextDecoder&&) noexcept = default;
TextDecoder::~TextDecoder() = default;

void TextDecoder::push(int32_t id, std::string& out) {
  tokenizer_.require_token(id);
  if (options_.skip_special && tokenizer_.is_special(id)) return;
  if (steady_) {
    out += texts_.of(id);
  } else if (sentencepiece_) {
    const auto& piece = tokenizer_.data().sentencepiece->file.pieces[static_cast<size_t>(id)];
    sentencepiece_->push(piece.text, piece.type, out);
    steady_ = sentencepiece_->steady();
  } else {
    stream_->push(tokenizer_.data().spelling_of_token(id), out);
    steady_ = stream_->steady();
  }
}

void TextDecoder::finish(std::string& out) {
  if (tokenizer_.data().joins_bytes) return;
  sentencepiece_ ? sentencepiece_->finish(out) : stream_->finish(out);
  steady_ = false;
}

std::string StreamDecoder::push(int32_t id) {
  decoder_.push(id, held_);
  const size_t ready = held_.size() - incomplete_utf8_tail(held_);
  std::string out = held_.substr(0, ready);
  held_.erase(0, ready);
  return out;
}

std::string StreamDecoder::finish() {
  decoder_.finish(held_);
  return std::exchange(held_, std::string());
}

}  // namespace lathe
