#include "lathe/text/decode/sentencepiece_decoder.h"

#include "lathe/base/utf8.h"
#include "lathe/text/byte_tokens.h"
#include "lathe/text/metaspace.h"
#include "lathe/text/normalize/sentencepiece_normalizer.h"

namespace lathe {
namespace {

using Type = SentencePieceFile::Type;

}  // namespace

SentencePieceDecoding SentencePieceDecoding::of(const SentencePieceFile& file,
                                                std::string_view origin) {
  SentencePieceDecoding d{file.normalizer.add_dummy_prefix,
                          file.normalizer.remove_extra_whitespaces, file.unk_surface, false,
                          nullptr};
  if (!file.denormalizer || file.denormalizer->precompiled_charsmap.empty()) return d;
  SentencePieceNormalization n;
  n.charsmap = CharsMap::parse(file.denormalizer->precompiled_charsmap, origin);
  n.add_dummy_prefix = file.denormalizer->add_dummy_prefix;
  n.remove_extra_whitespaces = file.denormalizer->remove_extra_whitespaces;
  n.escape_whitespaces = file.denormalizer->escape_whitespaces;
  d.denormalizer = std::make_shared<SentencePieceNormalizer>(std::move(n));
  return d;
}

void SentencePieceDecoder::push(std::string_view piece, Type type, std::string& out) {
  if (type == Type::kByte) {
    // The reader of the model has checked that it is <0x00> to <0xFF>.
    const char byte = static_cast<char>(byte_of_token(piece).value_or(0));
    if (options_.keep_invalid_bytes) return append({&byte, 1}, out);
    bytes_ += byte;
    return append_bytes(false, out);
  }
  append_bytes(true, out);
  if (took_mark_ || has_text_) at_begin_ = false;
  append(surface_of(piece, type), out);
}

std::string SentencePieceDecoder::surface_of(std::string_view piece, Type type) {
  took_mark_ = false;
  if (type == Type::kControl) return {};
  if (type == Type::kUnknown) return options_.unk_surface;
  if (at_begin_ && (options_.add_dummy_prefix || options_.remove_extra_whitespaces) &&
      piece.starts_with(kSpaceMark)) {
    piece.remove_prefix(kSpaceMark.size());
    // Where extra white space was removed there is none at the beginning, however many pieces say
    // otherwise.
    took_mark_ = !options_.remove_extra_whitespaces;
  }
  std::string text;
  for (size_t at; (at = piece.find(kSpaceMark)) != std::string_view::npos;) {
    text.append(piece.substr(0, at)) += ' ';
    piece.remove_prefix(at + kSpaceMark.size());
  }
  return text.append(piece);
}

std::string SentencePieceDecoder::in_the_middle(std::string_view piece, Type type) {
  if (type == Type::kByte) return std::string(1, static_cast<char>(*byte_of_token(piece)));
  at_begin_ = false;
  return surface_of(piece, type);
}

void SentencePieceDecoder::append(std::string_view text, std::string& out) {
  has_text_ |= !text.empty();
  (options_.denormalizer ? whole_ : out) += text;
}

void SentencePieceDecoder::append_bytes(bool all, std::string& out) {
  size_t certain = bytes_.size();
  if (!all) certain -= incomplete_utf8_tail(bytes_);
  if (certain == 0) return;
  append(replace_invalid_utf8(std::string_view(bytes_).substr(0, certain)), out);
  bytes_.erase(0, certain);
}

void SentencePieceDecoder::finish(std::string& out) {
  append_bytes(true, out);
  if (options_.denormalizer) {
    std::string text;
    size_t start = 0;
    out += options_.denormalizer->apply(whole_, text, start) ? text : whole_;
  }
  whole_.clear();
  at_begin_ = true;
  took_mark_ = has_text_ = false;
}

}  // namespace lathe
