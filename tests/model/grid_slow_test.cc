// Every choice with every two others.

#include "model/checks.h"

namespace lathe::testing {
namespace {

TEST(EveryTriple, DecodesAndLearns) {
  const auto variants = covering_variants(3);
  EXPECT_GE(variants.size(), 336u);
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
