#pragma once

#include <optional>

#include "lathe/config/component.h"

namespace lathe {

struct AttentionShape;

// The keys of the attention "latent": the ranks of the low-rank vectors, and the parts of a head.
struct LatentConfig {
  int64_t kv_lora_rank = 0;
  std::optional<int64_t> q_lora_rank;
  int64_t qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;

  void visit(Visitor& v);
  void check(const AttentionShape& options, const KeyErrors& keys) const;
};

}  // namespace lathe
