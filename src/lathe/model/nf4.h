// The weights of a model as QLoRA has them under its adapters (Dettmers et al. 2023,
// arXiv:2305.14314): rounded to four bits of NF4.
#pragma once

#include <filesystem>

#include "lathe/base/log.h"
#include "lathe/model/transformer.h"

namespace lathe {

// Rounds the matrices of all linear layers but the output head (tensor/blocks/bitsandbytes.h), each
// in the order that it has on disk, where bitsandbytes would find it; routers, which stay in full
// precision, and tables are left as they are. With `quantise_scales` those of the blocks are rounded
// too. The model has elements (no packed weights). Errors: kData for a weight that is not finite.
void round_to_nf4(Transformer& model, bool quantise_scales);
// Reads the model at `path` into one that has no memory, in `dtype`. The matrices that round_to_nf4() would round stay
// in four bits (ops/nf4_matrix.h), a quarter of their memory in bf16, and are constants. Each is packed before the next is
// read: of a large model only one for each thread is there as elements. Errors: those of round_to_nf4() and load_weights().
void load_as_nf4(Transformer& model, const std::filesystem::path& path, DType dtype, Device device,
                 bool quantise_scales, const Log& log = {});

}  // namespace lathe
