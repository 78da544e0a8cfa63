#include "lathe/model/weight_map.h"

#include <map>
#include <numeric>

#include "lathe/base/error.h"
#include "lathe/model/family.h"

namespace lathe {
namespace {

std::string replaced(std::string_view pattern, std::string_view what, int64_t number) {
  const size_t at = pattern.find(what);
  if (at == std::string_view::npos) return std::string(pattern);
  return fmt::format("{}{}{}", pattern.substr(0, at), number, pattern.substr(at + what.size()));
}

int64_t first_row_of_part(const Parameter& p, size_t part) {
  return std::accumulate(p.parts.begin(), p.parts.begin() + static_cast<ptrdiff_t>(part),
                         int64_t{0});
}

DiskTensor whole(std::string name, Parameter& p) {
  return {std::move(name), p.shape, false, {{&p, 0, p.shape[0]}}};
}

DiskTensor one_part(std::string name, Parameter& p, size_t part) {
  const int64_t rows = p.parts.at(part);
  return {std::move(name), p.shape.with(0, rows), false, {{&p, first_row_of_part(p, part), rows}}};
}

// Queries, keys and values of a fused projection, key/value head by key/value head.
DiskTensor grouped_heads(std::string name, Parameter& p, int64_t kv_heads) {
  DiskTensor t{std::move(name), p.shape, false, {}};
  int64_t disk_first = 0;
  for (size_t part = 0; part < p.parts.size(); ++part) {
    t.pieces.push_back({&p, first_row_of_part(p, part), p.parts[part], kv_heads, disk_first});
    disk_first += p.parts[part] / kv_heads;
  }
  return t;
}

// Binds rules to the parameters of one model.
class Binder {
 public:
  explicit Binder(Transformer& model) : kv_heads_(model.config().kv_heads()) {
    for (Parameter* p : model.parameters()) by_name_[p->name] = p;
  }

  void bind(const WeightRule& rule, int64_t layer) {
    const std::string disk = name_on_disk(rule, layer);
    const std::string ours = replaced(rule.ours, "{}", layer);
    if (const auto exact = by_name_.find(ours); exact != by_name_.end())
      return bind_parameter(rule, disk, *exact->second);
    const std::string prefix = ours + ".";
    for (auto it = by_name_.lower_bound(prefix);
         it != by_name_.end() && it->first.starts_with(prefix); ++it) {
      const std::string leaf = it->first.substr(prefix.size());
      if (leaf.find('.') == std::string::npos) bind_parameter(rule, disk + "." + leaf, *it->second);
    }
  }

  std::vector<DiskTensor> finish() {
    std::map<const Parameter*, int64_t> bound;
    for (const DiskTensor& t : tensors_)
      for (const WeightPiece& piece : t.pieces) bound[piece.parameter] += piece.rows;
    for (const auto& [name, p] : by_name_)
      require(bound[p] == p->shape[0], ErrorKind::kConfig, "weights",
              "{} of {} rows of '{}' have a name on disk", bound[p], p->shape[0], name);
    return std::move(tensors_);
  }

 private:
  void bind_parameter(const WeightRule& rule, const std::string& disk, Parameter& p) {
    if (rule.parts_per_expert > 0) {
      for (size_t part = static_cast<size_t>(rule.part), e = 0; part < p.parts.size();
           part += static_cast<size_t>(rule.parts_per_expert), ++e)
        tensors_.push_back(one_part(replaced(disk, "{e}", static_cast<int64_t>(e)), p, part));
    } else if (rule.layout == DiskLayout::kGroupedHeads) {
      tensors_.push_back(grouped_heads(disk, p, kv_heads_));
    } else if (rule.part >= 0) {
      tensors_.push_back(one_part(disk, p, static_cast<size_t>(rule.part)));
    } else {
      tensors_.push_back(whole(disk, p));
    }
    DiskTensor& t = tensors_.back();
    if (rule.layout == DiskLayout::kTransposed && p.shape.rank() == 2) {
      t.transposed = true;
      t.shape = {t.shape[1], t.shape[0]};
    }
  }

  std::map<std::string, Parameter*> by_name_;
  int64_t kv_heads_;
  std::vector<DiskTensor> tensors_;
};

// Rows seen as [groups, rows / groups, the rest].
Tensor in_groups(const Tensor& rows, int64_t groups) {
  return rows.reshape({groups, rows.size(0) / groups, rows.numel() / rows.size(0)});
}

Tensor region_on_disk(const Tensor& disk, const WeightPiece& piece) {
  return in_groups(disk, piece.groups).narrow(1, piece.disk_first, piece.rows / piece.groups);
}

Tensor rows_of(const WeightPiece& piece, const TensorOf& of) {
  return of(*piece.parameter).narrow(0, piece.first_row, piece.rows);
}

}  // namespace

Tensor DiskTensor::gather(const TensorOf& of) const {
  if (pieces.size() == 1) {
    const Tensor rows = rows_of(pieces[0], of);
    return transposed ? rows.transpose(0, 1) : rows;
  }
  const Tensor& like = of(*pieces[0].parameter);
  const Tensor out(shape, like.dtype(), like.device());
  for (const WeightPiece& piece : pieces)
    region_on_disk(out, piece).copy_from(in_groups(rows_of(piece, of), piece.groups));
  return out;
}

void DiskTensor::scatter(const Tensor& on_disk, const TensorOf& of) const {
  if (pieces.size() == 1) {
    rows_of(pieces[0], of).copy_from(transposed ? on_disk.transpose(0, 1) : on_disk);
    return;
  }
  for (const WeightPiece& piece : pieces)
    in_groups(rows_of(piece, of), piece.groups).copy_from(region_on_disk(on_disk, piece));
}

std::string name_on_disk(const WeightRule& rule, int64_t layer) {
  return replaced(rule.disk, "{}", layer);
}

std::vector<DiskTensor> map_weights(Transformer& model, const Family& family) {
  std::vector<WeightRule> rules;
  const auto take = [&](std::span<const WeightRule> table) {
    rules.insert(rules.end(), table.begin(), table.end());
  };
  for (const auto& table : family.weights) take(table);
  if (family.weights_of != nullptr) take(family.weights_of(model.config()));
  if (rules.empty()) {
    std::vector<DiskTensor> own;
    for (Parameter* p : model.parameters()) own.push_back(whole(p->name, *p));
    return own;
  }
  Binder binder(model);
  for (const WeightRule& rule : rules)
    if (rule.ours.find("{}") == std::string_view::npos) binder.bind(rule, 0);
  const ModelConfig& c = model.config();
  const int64_t layers =
      std::max(c.num_hidden_layers + c.num_nextn_predict_layers, c.encoder_layers());
  for (int64_t layer = 0; layer < layers; ++layer)
    for (const WeightRule& rule : rules)
      if (rule.ours.find("{}") != std::string_view::npos) binder.bind(rule, layer);
  return binder.finish();
}

std::vector<DiskTensor> map_weights(Transformer& model) {
  return map_weights(model, family_for(model.config()));
}

}  // namespace lathe
