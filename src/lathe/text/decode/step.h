// What a decoder is made of. Internal to decode/.
//
// The library hands a list of tokens from step to step. Here each token runs through a chain of
// stages as soon as it comes. Behind Fuse and ByteLevel there is one token only, the whole text:
// it comes in parts, which may end in the middle of a character.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "lathe/text/decode/decoder.h"

namespace lathe {

// A step's state in one stream.
class DecodeStage {
 public:
  explicit DecodeStage(DecodeStage* next) : next_(next) {}
  virtual ~DecodeStage() = default;
  // A token; where the tokens are fused, the next part of the only one.
  virtual void push(std::string_view text) = 0;
  // The tokens have ended. Hands on what was held back and ends the next stage; as new afterwards.
  virtual void finish() { next_->finish(); }
  // As Decoder::Stream::steady, of this stage.
  virtual bool steady() const = 0;

 protected:
  DecodeStage* next_;
};

// Where a step stands.
struct DecodePlace {
  bool fused;   // one token comes, in parts
  bool joined;  // behind the step tokens are only joined: it makes no difference where they end
};

class DecodeStep {
 public:
  virtual ~DecodeStep() = default;

  // The stage for tokens. `joined` as in DecodePlace: it may hand on parts of them.
  virtual std::unique_ptr<DecodeStage> stage(bool joined, DecodeStage* next) const = 0;
  // The stage for fused tokens; null where it needs the whole text, which is then collected and
  // given to stage() as the only token.
  virtual std::unique_ptr<DecodeStage> fused_stage(DecodeStage*) const { return nullptr; }
  // Whether the tokens are one from here on.
  virtual bool fuses() const { return false; }
  // Whether it makes no difference where the tokens that come end.
  virtual bool ignores_borders() const { return false; }
  // Whether a stage becomes steady.
  virtual bool token_local(const DecodePlace& place) const = 0;
  // What a token that has others on both sides becomes.
  virtual std::string in_the_middle(std::string_view token, bool fused) const = 0;
};

// A step that changes each token by itself, the first one maybe otherwise than the others.
class TokenStep : public DecodeStep {
 public:
  // Sets `out`, which is empty on entry, and returns true; or false where the token stays.
  virtual bool change(std::string_view token, bool first, std::string& out) const = 0;

  std::unique_ptr<DecodeStage> stage(bool joined, DecodeStage* next) const final;
  bool token_local(const DecodePlace& place) const override { return !place.fused; }
  std::string in_the_middle(std::string_view token, bool fused) const override;
};

// Hands on what it gets.
std::unique_ptr<DecodeStage> pass_stage(DecodeStage* next);
// Collects parts and hands them on as one token.
std::unique_ptr<DecodeStage> collect_stage(DecodeStage* next);
// Replaces every occurrence of `pattern`, which is not empty, in parts of one text. It holds back
// what may be the beginning of an occurrence.
std::unique_ptr<DecodeStage> fused_replace_stage(std::string pattern, std::string content,
                                                 DecodeStage* next);

// `text` with every occurrence replaced. An empty pattern occurs before every character and at the
// end.
std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content);

void make_byte_level_decoder(const text_json::Json& json, const DecoderSteps& to);
void make_wordpiece_decoder(const text_json::Json& json, const DecoderSteps& to);
void make_ctc_decoder(const text_json::Json& json, const DecoderSteps& to);
void make_bpe_decoder(const text_json::Json& json, const DecoderSteps& to);
void make_metaspace_decoder(const text_json::Json& json, const DecoderSteps& to);
void make_byte_fallback_decoder(const text_json::Json& json, const DecoderSteps& to);
void make_fuse_decoder(const text_json::Json& json, const DecoderSteps& to);
void make_replace_decoder(const text_json::Json& json, const DecoderSteps& to);
void make_strip_decoder(const text_json::Json& json, const DecoderSteps& to);
// Of a tokenizer without a decoder.
std::unique_ptr<const DecodeStep> join_with_spaces();

}  // namespace lathe
