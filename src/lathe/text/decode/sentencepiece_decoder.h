// From the pieces of a SentencePiece model back to text, as `sentencepiece` decodes.
//
//     normal, user-defined, unused   their text, U+2581 as a space; the space that the normaliser
//                                    put before the text is taken away again
//     byte                           the byte; those that make no UTF-8 character become U+FFFD each,
//                                    or stay with keep_invalid_bytes
//     unknown                        unk_surface
//     control                        nothing
//
// One decoder is for one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "lathe/text/format/sentencepiece_file.h"
#include "lathe/text/normalize/normalizer.h"

namespace lathe {

struct SentencePieceDecoding {
  // As in the model's normalizer_spec.
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  std::string unk_surface = " \u2047 ";
  // `sentencepiece` has no such thing; with it no text is lost, and push() hands on bytes at once.
  bool keep_invalid_bytes = false;
  // The model's denormaliser, which sees the whole text; null: none.
  std::shared_ptr<const Normalizer::Step> denormalizer;

  // Throws kFormat, naming `origin`, for a damaged denormaliser.
  static SentencePieceDecoding of(const SentencePieceFile& file, std::string_view origin);
};

class SentencePieceDecoder {
 public:
  explicit SentencePieceDecoder(SentencePieceDecoding options) : options_(std::move(options)) {}

  // Appends the text that has become certain with this piece: no byte of a character that further
  // byte pieces may complete, and with a denormaliser none before finish().
  void push(std::string_view piece, SentencePieceFile::Type type, std::string& out);
  // Appends the rest. The decoder is as new afterwards.
  void finish(std::string& out);
  // From here to finish(), push() does no more than append in_the_middle(), and finish() appends
  // nothing.
  bool steady() const {
    const bool begun = !at_begin_ || took_mark_ || has_text_;
    return begun && options_.keep_invalid_bytes && !options_.denormalizer;
  }
  // What a piece stands for when others stand before and behind it.
  std::string in_the_middle(std::string_view piece, SentencePieceFile::Type type);

 private:
  void append(std::string_view text, std::string& out);
  // Appends what bytes_ begins with: characters, and bytes that begin none. What may still be
  // completed stays unless `all`.
  void append_bytes(bool all, std::string& out);
  std::string surface_of(std::string_view piece, SentencePieceFile::Type type);

  SentencePieceDecoding options_;
  std::string bytes_;       // of byte pieces, not yet text
  std::string whole_;       // for the denormaliser
  bool at_begin_ = true;    // a leading U+2581 is the normaliser's
  bool took_mark_ = false;  // the last piece had it
  bool has_text_ = false;
};

}  // namespace lathe
