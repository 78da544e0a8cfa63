// Conversions: they turn a trained model into one of another shape that keeps what it has learned.
//
// A conversion is a rule for the configuration and a rule for the parameters, each in its own file:
//
//   body         bidirectional attention over a prefix of a decoder (body.cc)
//   kv_heads     fewer key/value heads (kv_heads.cc)
//   tokenizer    the rows of another tokenizer's tokens (tokenizer.cc)
//   vocabulary   more tokens (vocabulary.cc)
//   context      longer texts (context.cc)
//   experts      experts in place of the dense feed-forward layers (experts.cc)
//
// The catalogue lists them in the order in which they are applied if several are requested. Models
// hold their parameters in f32. Functions are thread-safe on different models.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lathe/base/catalogue.h"
#include "lathe/model/transformer.h"

namespace lathe {

// What the tokens of another tokenizer are made of: for each of its ids the ids that the model's
// tokenizer has for the same text. One: the same token under a new number; none: nothing is known.
using TokenSources = std::vector<std::vector<int32_t>>;
// The new id of each old one that is a token of the other tokenizer by itself.
using NewIds = std::map<int64_t, int64_t>;
NewIds new_ids_of(const TokenSources& sources);

struct ConversionOptions {
  std::optional<std::string> body = {};
  std::optional<int64_t> kv_heads = {};
  std::optional<int64_t> vocab_size = {}, pad_vocab_to = {};
  std::optional<int64_t> context = {};
  std::optional<std::string> rope_scaling = {};
  std::optional<int64_t> experts = {}, experts_per_token = {};
  int64_t seed = 0;
  // Rows of the vocabulary that belong to tokens; the rows after them are padding that was never
  // trained. This is not an option of its own, because the caller knows the tokenizer. Absent: all.
  std::optional<int64_t> known_tokens = {};
  // The rows that the new model has, before --vocab-size and --pad-vocab-to; from the caller as well.
  std::optional<TokenSources> token_sources = {};

  void visit(Visitor& v);
};

class Conversion {
 public:
  virtual ~Conversion() = default;
  // The configuration of the converted model. Throws kConfig, naming the option, for a model that
  // cannot be converted in this way.
  virtual ModelConfig config(const ModelConfig& from) const = 0;
  // Fills every parameter of `to`, which is allocated and has config(from.config()).
  virtual void fill(Transformer& from, Transformer& to) const = 0;
  // A message for the user: what happens to the weights of a model with this configuration.
  virtual std::string note(const ModelConfig& from) const = 0;
};

// Null if the options do not request this conversion.
using MakeConversion = std::unique_ptr<Conversion> (*)(const ConversionOptions&);
// In the order in which they are applied.
std::span<const CatalogueEntry<MakeConversion>> conversions();

// The configuration that convert() will produce. Errors: kUsage if nothing is requested or an
// option lacks the one that it belongs to, kConfig as above.
ModelConfig converted_config(const ModelConfig& from, const ConversionOptions& options);
// The note of each requested conversion.
std::vector<std::string> conversion_notes(const ModelConfig& from,
                                          const ConversionOptions& options);

// Applies every requested conversion. Errors as above; the model is then lost.
std::unique_ptr<Transformer> convert(std::unique_ptr<Transformer> model,
                                     const ConversionOptions& options);

// For conversions: copies each parameter of `to` from the parameter of the same name in `from`,
// unless `fill(old, fresh)` has filled it and returns true; `old` is null if `from` has none.
// Throws kConfig for a parameter that gets no values, because this conversion does not support it.
using FillParameter = std::function<bool(const Parameter* old, Parameter& fresh)>;
void carry_over(Transformer& from, Transformer& to, const FillParameter& fill);

// One function per file in convert/.
std::unique_ptr<Conversion> make_body_conversion(const ConversionOptions& options);
std::unique_ptr<Conversion> make_kv_heads_conversion(const ConversionOptions& options);
std::unique_ptr<Conversion> make_tokenizer_conversion(const ConversionOptions& options);
std::unique_ptr<Conversion> make_vocabulary_conversion(const ConversionOptions& options);
std::unique_ptr<Conversion> make_context_conversion(const ConversionOptions& options);
std::unique_ptr<Conversion> make_experts_conversion(const ConversionOptions& options);

}  // namespace lathe
