#include "lathe/text/normalize/makers.h"
#include "lathe/text/replacement.h"

namespace lathe {
namespace {

class Replace : public Normalizer::Step {
 public:
  explicit Replace(Replacement replacement) : replacement_(std::move(replacement)) {}
  bool apply(std::string_view text, std::string& out, size_t& start) const override {
    return replacement_.apply(text, out, start);
  }

 private:
  Replacement replacement_;
};

}  // namespace

void make_replace(const text_json::Json& json, const NormalizerSteps& to) {
  to.steps.push_back(std::make_unique<Replace>(Replacement(json, "normalizer", to.origin)));
}

}  // namespace lathe
