// Low-rank updates of one model (Hu et al. 2021, arXiv:2106.09685) as inference has them: the same
// adapters (adapter.h) without what only training needs, so that each sequence of a pass can have its
// own (row_adapters.h).
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/model/adapter/adapter.h"
#include "lathe/model/transformer.h"

namespace lathe {

// ΔW = scale · B·A of the rows [first_row, first_row + B's rows) of one parameter.
struct LowRankUpdate {
  int64_t first_row = 0;
  Tensor a;  // [r, inputs]
  Tensor b;  // [outputs, r]
  double scale = 1;

  int64_t rank() const { return b.size(1); }
  // The y of these rows += scale · (x·Aᵀ)·Bᵀ; x [N,inputs], y [N, of the whole parameter].
  void add_product(const Tensor& x, const Tensor& y) const;
  // ΔW [outputs, inputs] in the type of A.
  Tensor delta() const;
};
// The same of a table whose rows are looked up: the rows of ΔWᵀ.
struct LookupUpdate {
  Tensor a;  // [vocabulary, r]
  Tensor b;  // [width, r]
  double scale = 1;

  // y [N,width] += scale · A[ids]·Bᵀ; ids i32 [N].
  void add_lookup(const Tensor& ids, const Tensor& y) const;
  Tensor delta() const;  // [vocabulary, width]
};

// Immutable and thread-safe.
class LoraAdapter {
 public:
  using Updates = std::map<std::string, std::vector<LowRankUpdate>, std::less<>>;
  using Lookups = std::map<std::string, LookupUpdate, std::less<>>;

  // By the names of parameters.
  LoraAdapter(Updates products, Lookups lookups);

  std::span<const LowRankUpdate> product(std::string_view parameter) const;
  const LookupUpdate* lookup(std::string_view parameter) const;  // nullptr if there is none
  const Updates& products() const { return products_; }
  const Lookups& lookups() const { return lookups_; }
  size_t bytes() const { return bytes_; }
  // What makes it unfit for a model (it was loaded for another), and what to do; empty if nothing
  // does.
  std::string why_not(const Transformer& model) const;
  // A hash of all of it: adapters with the same one compute the same.
  const std::string& identity() const { return identity_; }

 private:
  Updates products_;
  Lookups lookups_;
  size_t bytes_ = 0;
  std::string identity_;
};

// What `adapter` does, which must be low-rank updates and nothing else: LoRA, AdaLoRA, VeRA, MiSS. Error
// kConfig, naming `where` and what it does beside, for another.
std::shared_ptr<const LoraAdapter> low_rank_updates(const Adapter& adapter, std::string_view where);
// The same of a folder. Errors: also those of load_adapter().
std::shared_ptr<const LoraAdapter> load_lora(const std::filesystem::path& folder,
                                             Transformer& model, const Log& log = {});

}  // namespace lathe
