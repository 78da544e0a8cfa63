#include "lathe/nn/norm/norm.h"

namespace lathe {
namespace {

class NoNorm : public Norm {
 public:
  explicit NoNorm(const NormShape&) {}
  Var forward(const Forward&, const Var& x) const override { return x; }
  std::string_view kind() const override { return "NoNorm"; }
  void visit(ModuleVisitor&) override {}
};

}  // namespace

NormComponent no_norm() {
  return norm_component<NoNorm>(
      {.name = "none",
       .summary = "x",
       .source = "Zhang et al. 2019, arXiv:1901.09321 (training without norms)"});
}

}  // namespace lathe
