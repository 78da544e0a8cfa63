// Every combination of the catalogues.

#include "model/checks.h"

namespace lathe::testing {
namespace {

TEST(EveryCombination, DecodesAndLearns) {
  const auto variants = every_variant();
  EXPECT_GE(variants.size(), 2u * 4 * 2 * 4 * 3 * 2 * 2 * 2 * 2);
  for (const Variant& v : variants) {
    SCOPED_TRACE(v.name);
    const auto model = make_model(v.config, DType::kF64, Device::kRef);
    expect_cached_equals_full(*model, 1e-10);
    const auto fast = make_model(v.config, DType::kF32, Device::kCpu);
    expect_cached_equals_full(*fast, 3e-5);
    expect_gradients_everywhere(*fast);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace lathe::testing
