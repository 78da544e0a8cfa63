#include "lathe/text/normalize/makers.h"

namespace lathe {
namespace {

class Prepend : public Normalizer::Step {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  bool apply(std::string_view text, std::string& out, size_t& start) const override {
    if (text.empty() || prefix_.empty()) return false;
    out.reserve(prefix_.size() + text.size());
    out = prefix_;
    out.append(text);
    if (start > 0) start += prefix_.size();  // it derives from the character that it stands before
    return true;
  }

 private:
  std::string prefix_;
};

}  // namespace

void make_prepend(const text_json::Json& json, const NormalizerSteps& to) {
  to.steps.push_back(std::make_unique<Prepend>(text_json::get_string(json, "prepend", to.origin)));
}

}  // namespace lathe
