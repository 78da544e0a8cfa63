#include "lathe/base/catalogue.h"
#include "lathe/nn/norm/norm.h"
#include "lathe/nn/norm/norm_config.h"
#include "lathe/nn/norm/placement.h"

namespace lathe {

// One per file in norm/.
NormComponent rms_norm();
NormComponent rms_norm_offset();
NormComponent layer_norm();
NormComponent crms_norm();
NormComponent no_norm();

std::span<const NormComponent> norms() {
  static const NormComponent kNorms[] = {
      rms_norm(), rms_norm_offset(), layer_norm(), crms_norm(), no_norm(),
  };
  return kNorms;
}

NormConfig::NormConfig() : ComponentChoice("rms", norms()) {}

void NormConfig::visit(Visitor& v) {
  v.choice("kind", kind, names_of(norms()), "normalisation layer");
  components.visit(v);
  v.choice("placement", placement, names_of(norm_placements()),
           "where the norms of a branch are placed");
  v.field("eps", eps, "added to the variance", above(0));
  v.field("bias", bias, "add a learned bias");
  v.field("final", final, "normalise once more before the output head");
  v.field("embedding", embedding, "normalise the embedded tokens (BLOOM, BERT)");
}

}  // namespace lathe
