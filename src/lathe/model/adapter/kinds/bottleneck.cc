// Bottleneck adapters: a narrow network of its own behind a module, with a way past it (Houlsby et al. 2019,
// arXiv:1902.00751),
//   y + U·f(D·y + d) + u
// for the module's output y, before it is added to the residual stream. Houlsby et al. put one behind the
// attention's and one behind the feed-forward layer's last matrix of each layer (target_modules o_proj and
// down_proj), Pfeiffer et al. 2020 (arXiv:2005.00247) only behind the latter. U and u begin at zero, so that a
// fresh one changes nothing. PEFT has no such kind: the format is ours.
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/kernels/activation/activation_id.h"
#include "lathe/model/adapter/module_adapter.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/linear.h"

namespace lathe {
namespace {

struct BottleneckConfig {
  std::string non_linearity = "relu";

  void visit(Visitor& v) {
    v.choice("non_linearity", non_linearity, kernels::activation_names(),
             "between the two matrices of a bottleneck");
  }
};

class Bottleneck : public ModuleAdapter {
 public:
  Bottleneck(const ModuleSite& site, const BottleneckConfig& config)
      : site_(site),
        activation_(kernels::find_activation(config.non_linearity)),
        // The variance of PyTorch's linear layers, 1 / (3·inputs).
        down_({site.rank, site.outputs},
              {Initializer::Kind::kNormal, 1 / std::sqrt(3.0 * static_cast<double>(site.outputs))}),
        down_bias_({site.rank}, {Initializer::Kind::kZeros, 0}),
        up_({site.outputs, site.rank}, {Initializer::Kind::kZeros, 0}),
        up_bias_({site.outputs}, {Initializer::Kind::kZeros, 0}) {}

  static ModuleAdapterTraits traits(const ModuleSite&, const BottleneckConfig&) {
    return {.tensors = {"adapter_down.weight", "adapter_down.bias", "adapter_up.weight",
                        "adapter_up.bias"},
            .default_rank = 64};
  }

  std::string_view kind() const override { return "bottleneck adapter"; }
  void visit(ModuleVisitor& v) override {
    v.parameter("adapter_down.weight", down_);
    v.parameter("adapter_down.bias", down_bias_);
    v.parameter("adapter_up.weight", up_);
    v.parameter("adapter_up.bias", up_bias_);
  }

  Var added(const Pass& pass, const Product& p) const override {
    const Var narrow =
        ops::activation(activation_, ops::linear(p.y(), pass.use(down_), pass.use(down_bias_)));
    return ops::linear(narrow, pass.use(up_), pass.use(up_bias_), p.out);
  }
  // It is no function of W.
  Var weight(const Pass&, const Var&) const override {
    fail(
        ErrorKind::kConfig, site_.module,
        "a bottleneck adapter is a network behind this module, which is in no weight: it cannot be "
        "merged, nor stand where a matrix is not used as a product (the output head, latent "
        "attention); use it as an adapter, and leave such modules out of target_modules");
  }

 private:
  const ModuleSite site_;
  const kernels::ActivationId activation_;
  Parameter down_, down_bias_, up_, up_bias_;
};

}  // namespace

ModuleAdapterKind bottleneck_adapter() {
  return module_adapter<Bottleneck, BottleneckConfig>(
      {.name = "BOTTLENECK",
       .summary = "a narrow network behind a module",
       .source = "Houlsby et al. 2019, arXiv:1902.00751; Pfeiffer et al. 2020, arXiv:2005.00247"});
}

}  // namespace lathe
