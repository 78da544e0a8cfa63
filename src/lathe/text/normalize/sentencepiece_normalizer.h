// SentencePiece's normaliser: everything that happens to a text before its model sees it.
//
// From left to right, each place of the text is one of
//
//     a user-defined symbol (the longest), which stays as it is
//     what a rule of the character map begins with (the longest), which is replaced
//     a byte that is not UTF-8, which becomes U+FFFD, or stays with keep_invalid_bytes
//     a character, which stays
//
// Then white space: of spaces in a row one is left and none at the beginning and the end
// (remove_extra_whitespaces), a space is put before the text (add_dummy_prefix), or behind it
// (treat_whitespace_as_suffix), and spaces become U+2581 (escape_whitespaces).
//
// In a tokenizer.json it is {"type": "SentencePiece", "precompiled_charsmap": base64,
// "add_dummy_prefix": true, …} with the names below; `tokenizers` does not know this type.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/normalize/charsmap.h"
#include "lathe/text/normalize/normalizer.h"

namespace lathe {

// The names and the defaults are those of SentencePiece's NormalizerSpec and TrainerSpec.
struct SentencePieceNormalization {
  CharsMap charsmap;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
  bool treat_whitespace_as_suffix = false;
  std::vector<std::string> user_defined_symbols;
  // For models with byte fallback: what is not UTF-8 then comes back from decoding as it was.
  bool keep_invalid_bytes = false;

  // Throws kFormat, naming `origin`, for a damaged map and members of a wrong type.
  static SentencePieceNormalization from_json(const text_json::Json& json, std::string_view origin);
  text_json::Json to_json() const;
};

class SentencePieceNormalizer : public Normalizer::Step {
 public:
  // Throws kFormat for a symbol that is empty or contains a zero byte.
  explicit SentencePieceNormalizer(SentencePieceNormalization options);
  bool apply(std::string_view text, std::string& out, size_t& start) const override;

 private:
  bool normalize(std::string_view text, std::string& out) const;
  // What a place of the text becomes, and how many bytes of the text it takes.
  struct Unit {
    std::string_view text;
    size_t length = 0;
  };
  Unit unit_at(const uint8_t* p, const uint8_t* end) const;
  // The end of the longest stretch from `p` on that stays as it is and has no spaces.
  const uint8_t* skip_plain(const uint8_t* p, const uint8_t* end) const;
  const uint8_t* skip_ascii(const uint8_t* p, const uint8_t* end) const;
  // Appends printable ASCII and the spaces in it, up to where something else stands, or nearly.
  const uint8_t* copy_words(const uint8_t* p, const uint8_t* end, bool& after_space,
                            std::string& out) const;
  void append(std::string_view text, bool& after_space, std::string& out) const;

  SentencePieceNormalization options_;
  DoubleArray symbols_;
  std::string_view space_;
  std::array<bool, 256> begins_symbol_{};
  // ASCII that stays as it is unless a rule goes on behind it, spaces excepted.
  std::array<bool, 128> plain_{};
  bool printable_ = false;    // that is all from 0x21 to 0x7E
  bool plain_space_ = false;  // a space is nothing but a space
};

}  // namespace lathe
