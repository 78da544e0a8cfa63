// Which tokens the attention of each layer sees: layer_types, sliding_window and the keys
// attention.sparse_* and attention.sink_tokens.
#pragma once

#include "lathe/kernels/attention/spec.h"
#include "lathe/model/model_config.h"

namespace lathe {

// Window, sink tokens and pattern of a layer.
kernels::AttentionSpec mask_of(const ModelConfig& config, int64_t layer);

// Resets the keys of masks that no layer uses, and fills in values that follow from other keys.
void resolve_masks(ModelConfig& config);
// Throws kConfig for masks that cannot work.
void check_masks(const ModelConfig& config);

}  // namespace lathe
