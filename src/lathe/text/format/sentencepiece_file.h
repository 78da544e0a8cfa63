// SentencePiece's model files (`.model`), as plain data: read from bytes of any origin, checked as
// `sentencepiece` checks them, and written so that it opens them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// The names and the defaults are those of SentencePiece's ModelProto.
struct SentencePieceFile {
  enum class Type : uint8_t {
    kNormal = 1,
    kUnknown = 2,
    kControl = 3,
    kUserDefined = 4,
    kUnused = 5,
    kByte = 6,
  };
  struct Piece {
    std::string text;
    float score = 0;
    Type type = Type::kNormal;
  };
  enum class ModelType : uint8_t { kUnigram = 1, kBpe = 2, kWord = 3, kChar = 4 };
  struct NormalizerSpec {
    std::string name;
    std::string precompiled_charsmap;
    bool add_dummy_prefix = true;
    bool remove_extra_whitespaces = true;
    bool escape_whitespaces = true;
  };
  struct Sample {
    std::string input;
    std::string expected;  // pieces with spaces between them
  };

  std::vector<Piece> pieces;  // by id
  ModelType model_type = ModelType::kUnigram;
  bool byte_fallback = false;
  bool treat_whitespace_as_suffix = false;
  // What the tokens are called; whether a token is there, the pieces say.
  std::string unk_piece = "<unk>", bos_piece = "<s>", eos_piece = "</s>", pad_piece = "<pad>";
  std::string unk_surface = " \u2047 ";  // what the unknown token is decoded to
  NormalizerSpec normalizer;
  std::optional<NormalizerSpec> denormalizer;
  std::vector<Sample> self_test;

  // The one unknown piece.
  int32_t unk_id() const;
  // The ids of the control pieces with these names, or -1.
  int32_t bos_id() const { return control_id(bos_piece); }
  int32_t eos_id() const { return control_id(eos_piece); }
  int32_t pad_id() const { return control_id(pad_piece); }

 private:
  int32_t control_id(std::string_view name) const;
};

// Whether bytes begin as a model file does. Nothing is said about the rest.
bool begins_as_sentencepiece(std::string_view bytes);

// Throws kFormat, naming `origin`, for bytes that are no model file, and for models that
// `sentencepiece` does not load: without pieces or with more than a vocabulary holds; with a piece
// that is empty, comes twice or has a score that is not finite; without exactly one unknown piece;
// with byte pieces but no byte fallback, byte fallback but not all 256 byte pieces, or byte pieces
// that are not <0x00> to <0xFF>; with a type of piece or model that is unknown.
SentencePieceFile read_sentencepiece(std::string_view bytes, std::string_view origin);

// Deterministic.
std::string write_sentencepiece(const SentencePieceFile& file);

// Encodes the samples of the file's self-test. `encode` gives the pieces of a text, an unknown one
// as `unk_piece`; the samples have the text that it stands for. Pieces of Unigram models may differ from the expected ones if they
// score the same, as in `sentencepiece`. Throws kData, naming `origin`, for the first that differs.
void check_self_test(const SentencePieceFile& file, std::string_view origin,
                     const std::function<std::vector<std::string>(std::string_view)>& encode);

}  // namespace lathe
