// Where in a model the modules are that adapters name.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/model/adapter/adapter.h"
#include "lathe/model/weight_map.h"

namespace lathe {

// Not thread-safe; the model outlives it.
class AdapterSites {
 public:
  explicit AdapterSites(Transformer& model);

  // A matrix that a module adapter may act on.
  struct Site {
    ModuleSite site;  // without rank and alpha
    RowsOfParameter at;
    std::string weight;  // its name on disk
    bool is_lookup = false;
  };

  // The place of the tensor of this name on disk, or of this name in the model that has a head; null
  // if the model has none.
  const DiskTensor* place(const std::string& name) const;
  // The matrix of `module`, of the tied head if need be; as a table whose rows are looked up if
  // `lookup`. Nothing if the model has none. Error kData, naming `where`, for one where an adapter
  // cannot act.
  std::optional<Site> matrix(const std::string& module, bool lookup, std::string_view where) const;
  // The stacked matrices "gate_up", "up", "down" of the experts of "model.layers.3.mlp.experts",
  // under the names that transformers has for them.
  std::vector<Site> experts(const std::string& stack) const;
  std::vector<Site> experts() const;  // of all layers
  // A value in place of the tensor `name` on disk, without its own value. Nothing if the model has no
  // such tensor. Error as matrix().
  std::optional<ReplacedValue> value(const std::string& name, std::string_view where) const;

  // Names of modules with a matrix, in the model's order: layers, the token table, the head, which
  // may be tied.
  std::vector<std::string> modules() const;
  bool is_table(const std::string& module) const;
  bool is_head(const std::string& module) const;
  bool is_router(const std::string& module) const;
  // Of all tensors on disk.
  std::vector<std::string> tensors() const;
  const std::string& head() const { return head_; }  // the module; empty if the family names none
  const std::string& table() const { return table_; }
  const Family& family() const { return family_; }
  const Transformer& model() const { return model_; }
  Transformer& model() { return model_; }

 private:
  RowsOfParameter rows_of(const DiskTensor& place, std::string_view where) const;
  const Parameter* parameter(const std::string& name) const;

  Transformer& model_;
  const Family& family_;
  std::vector<DiskTensor> places_;
  std::map<std::string, size_t, std::less<>> by_name_;
  std::string head_, table_;
};

// The catalogue's entry of a kind that acts on modules; null for others.
const ModuleAdapterKind* module_kind(const AdapterConfig& config);
// The site with the rank and alpha that the configuration says for it. Error kConfig for options that
// cannot work there.
ModuleSite with_rank(const AdapterConfig& config, ModuleSite site);

}  // namespace lathe
