#include "kernels/harness.h"

namespace lathe::kernels::testing {
namespace {

using Views = std::vector<TensorView>;
constexpr double kEps = 1e-5;

// Which of the optional operands a case has.
struct Variant {
  const char* name;
  Kind weight;
  bool w, b;
  Write write;
};
constexpr Variant kVariants[] = {
    {"", Kind::kFloat, true, true, Write::kOverwrite},
    {"_same_dtype", Kind::kActivation, true, true, Write::kAccumulate},
    {"_no_bias", Kind::kFloat, true, false, Write::kOverwrite},
    {"_no_weight", Kind::kFloat, false, true, Write::kAccumulate},
    {"_plain", Kind::kFloat, false, false, Write::kOverwrite},
};

std::vector<Case> forward_cases() {
  std::vector<Case> all;
  for (const Shape& s : row_shapes())
    for (const Variant& variant : kVariants) {
      const auto name = [&](const char* kernel) {
        return fmt::format("{}{}_{}", kernel, variant.name, name_of_shape(s));
      };
      const auto offset = [](int64_t, double z) { return z + 2.0; };
      const Spec x{.shape = s, .fill = offset};
      const Spec weight{{s[1]}, Role::kIn, variant.weight}, y{s, Role::kOut};
      const Spec statistic{{s[0]}, Role::kOut, Kind::kFloat};
      all.push_back({name("rms"),
                     {x, weight, weight, y, statistic},
                     [variant](const Kernels& k, const Views& v) {
                       k.rms_norm(v[0], variant.w ? v[1] : TensorView{},
                                  variant.b ? v[2] : TensorView{}, v[3], v[4], kEps);
                     }});
      all.push_back({name("layer"),
                     {x, weight, weight, y, statistic, statistic},
                     [variant](const Kernels& k, const Views& v) {
                       k.layer_norm(v[0], variant.w ? v[1] : TensorView{},
                                    variant.b ? v[2] : TensorView{}, v[3], v[4], v[5], kEps);
                     }});
      all.push_back({name("crms"),
                     {x, weight, weight, y, statistic, statistic},
                     [variant](const Kernels& k, const Views& v) {
                       k.crms_norm(v[0], variant.w ? v[1] : TensorView{},
                                   variant.b ? v[2] : TensorView{}, v[3], v[4], v[5], kEps);
                     }});
    }
  return all;
}
LATHE_KERNEL_SUITE(NormKernel, forward_cases());

std::vector<Case> backward_cases() {
  std::vector<Case> all;
  for (const Shape& s : row_shapes())
    for (const Variant& variant : kVariants) {
      const auto name = [&](const char* kernel) {
        return fmt::format("{}{}_{}", kernel, variant.name, name_of_shape(s));
      };
      const Role role = variant.write == Write::kAccumulate ? Role::kInOut : Role::kOut;
      const Spec x{s}, dy{s}, dx{s, role}, weight{{s[1]}, Role::kIn, variant.weight};
      const Spec mean{{s[0]}, Role::kIn, Kind::kFloat};
      const Spec rstd{.shape = {s[0]}, .kind = Kind::kFloat, .fill = [](int64_t, double z) {
                        return 1.0 + 0.1 * z;
                      }};
      // An absent gradient is still an operand here: it must stay as it was.
      const Spec dw{{s[1]}, variant.w ? role : Role::kIn, Kind::kFloat};
      const Spec db{{s[1]}, variant.b ? role : Role::kIn, Kind::kFloat};
      const auto gradients = [variant](const Views& v) {
        return Kernels::LayerGradients{v[5],
                                       variant.write,
                                       variant.w ? v[6] : TensorView{},
                                       variant.b ? v[7] : TensorView{},
                                       variant.write,
                                       variant.write};
      };
      const std::vector<Spec> operands{x, weight, mean, rstd, dy, dx, dw, db};
      all.push_back({name("rms"), operands, [=](const Kernels& k, const Views& v) {
                       k.rms_norm_backward(v[0], variant.w ? v[1] : TensorView{}, v[3], v[4],
                                           gradients(v));
                     }});
      all.push_back({name("layer"), operands, [=](const Kernels& k, const Views& v) {
                       k.layer_norm_backward(v[0], variant.w ? v[1] : TensorView{}, v[2], v[3],
                                             v[4], gradients(v));
                     }});
      all.push_back({name("crms"), operands, [=](const Kernels& k, const Views& v) {
                       k.crms_norm_backward(v[0], variant.w ? v[1] : TensorView{}, v[2], v[3], v[4],
                                            gradients(v));
                     }});
    }
  return all;
}
LATHE_KERNEL_SUITE(NormBackwardKernel, backward_cases());

}  // namespace
}  // namespace lathe::kernels::testing
