// Tokens to text, as the decoder of a tokenizer.json describes it: the steps of the catalogue
// kDecoders. For tokens whose text is valid UTF-8 the text is that of `tokenizers` 0.23.3, byte for
// byte.
//
// Decoding is a stream: every token hands on what is certain, and holds back what the next tokens
// may still change (a trailing space that Strip would drop, the last token of BPEDecoder). A whole
// text is all its tokens pushed and the stream finished.
//
// Where bytes are not UTF-8, ByteFallback and ByteLevel hand them on as they are. The library
// writes U+FFFD there; here no text is lost, and a caller that wants U+FFFD has
// replace_invalid_utf8.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/catalogue.h"
#include "lathe/text/format/json_fields.h"

namespace lathe {

class DecodeStage;
class DecodeStep;
struct DecodePlace;

// Immutable, hence thread-safe; a Stream belongs to one thread.
class Decoder {
 public:
  using Steps = std::vector<std::unique_ptr<const DecodeStep>>;

  // Every step of a stream calls the next.
  static constexpr size_t kMaxSteps = 256;

  // Null: the tokens with a space between each two. Throws kFormat for a type that is not in the
  // catalogue, and for more than kMaxSteps.
  static Decoder from_json(const text_json::Json& json, std::string_view origin);
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;
  ~Decoder();

  class Stream {
   public:
    ~Stream();
    Stream(Stream&&) noexcept;
    // Appends to `out` the text that has become certain. `token` is spelled as in the vocabulary.
    void push(std::string_view token, std::string& out);
    // Appends what was held back. The stream is as new afterwards.
    void finish(std::string& out);
    // From here to finish(), push(token) does no more than append text_in_the_middle(token), and
    // finish() appends nothing: a caller may append texts that it has computed before.
    bool steady() const;

   private:
    friend class Decoder;
    explicit Stream(const Decoder& decoder);
    struct Chain;
    std::unique_ptr<Chain> chain_;
  };
  // This decoder must outlive the stream.
  Stream stream() const { return Stream(*this); }

  // What a token stands for when others stand before and behind it: "▁the" is " the", "##ing" is
  // "ing", "<0x0A>" is a line feed.
  std::string text_in_the_middle(std::string_view token) const;
  // Whether a stream becomes steady at all. Not so where a token's text depends on its neighbours
  // (CTC), or where the last one is different (BPEDecoder).
  bool token_local() const;

 private:
  Decoder();
  Steps steps_;
  std::vector<DecodePlace> places_;  // of each step
};

// Where the steps of a decoder's JSON go, and how deep it is nested.
struct DecoderSteps {
  std::string_view origin;
  Decoder::Steps& steps;
  int depth = 0;
};

// `json` is an object of the entry's type.
using MakeDecoder = void (*)(const text_json::Json& json, const DecoderSteps& to);
using DecoderEntry = CatalogueEntry<MakeDecoder>;
extern const std::span<const DecoderEntry> kDecoders;

}  // namespace lathe
