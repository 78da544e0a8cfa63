// Adapters that are tokens before the text: what their vectors are made of, and the catalogue of
// kinds. The file of an adapter holds the vectors alone.
#pragma once

#include <memory>
#include <span>

#include "lathe/base/rng.h"
#include "lathe/config/component.h"
#include "lathe/nn/module.h"
#include "lathe/nn/pass.h"

namespace lathe {

struct PromptSite {
  int64_t virtual_tokens = 0;
  int64_t width = 0;        // of a vector that the model reads: hidden_size, or K·D of a prefix
  int64_t layers = 0;       // that have a prefix
  int64_t hidden_size = 0;  // of the encoder that makes the vectors
  Tensor table = {};        // of the model's tokens [V, C], where fresh vectors may begin
};

// Const functions are thread-safe.
class PromptEncoder : public Module {
 public:
  // [P, width], or of a prefix [P, layers·2·width]: for each layer a key and a value.
  virtual Var vectors(const Pass& pass) const = 0;
  // Draws the parameters, whose memory exists.
  virtual void start(const Rng& rng);
};

// What is read as embedded tokens, or as keys and values of every layer.
struct PromptTraits {
  bool is_prefix = false;
  bool has_encoder = false;  // something makes the vectors
};

using PromptKind = Component<PromptEncoder, PromptSite, PromptTraits>;
std::span<const PromptKind> prompt_encoders();

template <class Class, class Config = NoConfig>
PromptKind prompt_kind(const ComponentText& text) {
  return component<PromptEncoder, PromptSite, Class, Config, PromptTraits>(text);
}

// The vectors themselves, [rows, columns], as a file has them.
std::unique_ptr<PromptEncoder> plain_vectors(int64_t rows, int64_t columns);

// y = x·Wᵀ + b of an encoder.
class Dense : public Module {
 public:
  Dense(int64_t inputs, int64_t outputs);
  Var operator()(const Pass& pass, const Var& x) const;
  std::string_view kind() const override { return "Dense"; }
  void visit(ModuleVisitor& v) override;

 private:
  Parameter weight_, bias_;
};

}  // namespace lathe
