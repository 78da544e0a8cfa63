// Token ids in, token ids out: prefill, then one token at a time through the cache. The results are
// those of whole forward passes: if a longer text changes the positions of its first tokens (rotary
// scaling by length: longrope once, dynamic at every token beyond the trained length), the cache is
// recomputed.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "lathe/infer/sampler/chain.h"
#include "lathe/model/transformer.h"

namespace lathe {

struct GenerateRequest {
  std::vector<std::vector<int32_t>> prompts;  // rows, none empty
  // Called with every new token; returning false ends that row. May be empty.
  std::function<bool(size_t row, int32_t token)> on_token;
};

class Engine {
 public:
  // The model's weights determine the arithmetic (f32 or bf16) and must outlive the engine.
  Engine(const Transformer& model, GenerationConfig config);

  // The maximum number of new tokens after a prompt of `length` tokens: they must fit into the
  // trained positions, if these are a table, and with the cache of `rows` such prompts into the
  // memory of this machine. Throws kData for a prompt that does not fit itself.
  int64_t room(int64_t length, int64_t rows = 1) const;

  // New tokens per row, without the prompt; the end-of-sequence token that ends a row (one of the
  // configuration's eos_token_id, or the model's when it names none) is included. An
  // encoder-decoder's prompts are what its encoder reads; a prefix decoder's are its prefix,
  // without a bos_token_id at the end, which starts the answer. A row's tokens depend only on its
  // prompt and its index, not on the other rows: token i of row r draws from seed.fork(r).fork(i).
  // Rows of equal length are computed together. Errors: kData for an empty prompt, ids outside the
  // vocabulary, more new tokens than room(), or a model that cannot continue a text; all but the
  // ids before anything is computed.
  IdRows generate(const GenerateRequest& request);

 private:
  void check(const GenerateRequest& request) const;
  void generate_together(const GenerateRequest& request, std::span<const size_t> rows, IdRows& out);
  bool ends(int32_t token) const;

  const Transformer& model_;
  SamplerChain chain_;
  int64_t cache_bytes_per_token_;
};

}  // namespace lathe
