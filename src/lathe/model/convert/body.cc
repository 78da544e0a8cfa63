// A decoder made into a prefix decoder (Tay et al. 2022, arXiv:2210.11399, U-PaLM): the weights
// stay what they are, and tokens may see more. Without a prefix the two are one function; a little
// training with a prefix teaches the model to read it both ways.

#include "lathe/base/error.h"
#include "lathe/model/convert/conversion.h"

namespace lathe {
namespace {

class BodyConversion : public Conversion {
 public:
  explicit BodyConversion(std::string body) : body_(std::move(body)) {}

  ModelConfig config(const ModelConfig& from) const override {
    require(from.body == "decoder", ErrorKind::kConfig, "--body",
            "the model's body is \"{}\"; only a \"decoder\" has the weights of a {}", from.body,
            body_);
    ModelConfig to = from;
    to.body = body_;
    return to;
  }

  void fill(Transformer& from, Transformer& to) const override {
    carry_over(from, to, [](const Parameter*, Parameter&) { return false; });
  }

  std::string note(const ModelConfig&) const override {
    return "no weight changes; without a prefix the model's output is as before, and training with "
           "objective.name = \"ul2\" or \"prefix_lm\" teaches it to attend to a prefix in both "
           "directions";
  }

 private:
  std::string body_;
};

}  // namespace

std::unique_ptr<Conversion> make_body_conversion(const ConversionOptions& options) {
  if (!options.body) return nullptr;
  return std::make_unique<BodyConversion>(*options.body);
}

}  // namespace lathe
