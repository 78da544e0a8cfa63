#include "lathe/model/weight_map.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "lathe/base/error.h"
#include "lathe/model/family.h"
#include "lathe/nn/attention/latent.h"

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

// The shape of a tensor when the matrices in it are transposed.
Shape matrices_turned(const Shape& shape) { return shape.with(-1, shape[-2]).with(-2, shape[-1]); }

// Some rows as they are.
WeightPiece plain_piece(Parameter& p, int64_t first_row, int64_t rows, int64_t disk_first = 0) {
  return {&p, first_row, rows, disk_first, 1, rows};
}

DiskTensor one_part(std::string name, Parameter& p, size_t part) {
  const int64_t rows = p.parts.at(part);
  return {std::move(name),
          p.shape.with(0, rows),
          false,
          {plain_piece(p, first_row_of_part(p, part), rows)}};
}

// Queries, keys and values of a fused projection, key/value head by key/value head.
DiskTensor grouped_heads(std::string name, Parameter& p, int64_t kv_heads) {
  DiskTensor t{std::move(name), p.shape, false, {}};
  const int64_t stride = p.shape[0] / kv_heads;
  int64_t disk_first = 0;
  for (size_t part = 0; part < p.parts.size(); ++part) {
    t.pieces.push_back(
        {&p, first_row_of_part(p, part), p.parts[part], disk_first, kv_heads, stride});
    disk_first += p.parts[part] / kv_heads;
  }
  return t;
}

// The rows of each head, the first half of them and the second taking turns.
DiskTensor paired_rows(DiskTensor t, int64_t head_width) {
  const WeightPiece all = t.pieces.at(0);
  const int64_t half = head_width / 2;
  t.pieces.clear();
  for (int64_t row = 0; row < all.rows; row += head_width)
    for (const int64_t second : {0, 1})
      t.pieces.push_back(
          {all.parameter, all.first_row + row + second * half, half, row + second, half, 2});
  return t;
}

// One part of every expert, one expert after the other.
DiskTensor stacked_experts(std::string name, Parameter& p, size_t part, size_t parts_per_expert) {
  const int64_t rows = p.parts.at(part);
  DiskTensor t{std::move(name), {}, false, {}};
  int64_t experts = 0;
  for (size_t at = part; at < p.parts.size(); at += parts_per_expert, ++experts)
    t.pieces.push_back(plain_piece(p, first_row_of_part(p, at), rows, experts * rows));
  t.shape = {experts, rows, p.shape[1]};
  return t;
}

// `each` rows of every head's rows, from the `within`-th on.
DiskTensor rows_of_heads(std::string name, Parameter& p, int64_t heads, int64_t within,
                         int64_t each) {
  DiskTensor t{std::move(name), {heads, each, p.shape[1]}, false, {}};
  for (int64_t head = 0; head < heads; ++head)
    t.pieces.push_back(plain_piece(p, head * (p.shape[0] / heads) + within, each, head * each));
  return t;
}

// Binds rules to the parameters of one model.
class Binder {
 public:
  explicit Binder(Transformer& model)
      : kv_heads_(model.config().kv_heads()),
        head_width_(model.config().head_width()),
        heads_(model.config().num_attention_heads),
        latent_(model.config().attention.get<LatentConfig>()) {
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
  void bind_experts(const WeightRule& rule, const std::string& disk, Parameter& p) {
    const auto first = static_cast<size_t>(rule.part);
    const auto each = static_cast<size_t>(rule.parts_per_expert);
    if (disk.find("{e}") == std::string::npos)
      return tensors_.push_back(stacked_experts(disk, p, first, each));
    for (size_t part = first, e = 0; part < p.parts.size(); part += each, ++e)
      tensors_.push_back(one_part(replaced(disk, "{e}", static_cast<int64_t>(e)), p, part));
  }

  void bind_parameter(const WeightRule& rule, const std::string& disk, Parameter& p) {
    if (rule.parts_per_expert > 0) return bind_experts(rule, disk, p);
    const int64_t keys = latent_.qk_nope_head_dim;
    if (rule.layout == DiskLayout::kGroupedHeads) {
      tensors_.push_back(grouped_heads(disk, p, kv_heads_));
    } else if (rule.layout == DiskLayout::kKeysOfHeads) {
      tensors_.push_back(rows_of_heads(disk, p, heads_, 0, keys));
    } else if (rule.layout == DiskLayout::kValuesOfHeads) {
      tensors_.push_back(rows_of_heads(disk, p, heads_, keys, latent_.v_head_dim));
    } else if (rule.part >= 0) {
      tensors_.push_back(one_part(disk, p, static_cast<size_t>(rule.part)));
    } else {
      tensors_.push_back(whole_tensor(disk, p));
    }
    DiskTensor& t = tensors_.back();
    if ((rule.layout == DiskLayout::kTransposed && p.shape.rank() == 2) ||
        rule.layout == DiskLayout::kKeysOfHeads) {
      t.transposed = true;
      t.shape = matrices_turned(t.shape);
    }
    if (rule.layout == DiskLayout::kPairedRows) t = paired_rows(std::move(t), head_width_);
    if (rule.layout == DiskLayout::kPlusOne && p.name.ends_with(".weight")) t.added = 1.0;
  }

  std::map<std::string, Parameter*> by_name_;
  int64_t kv_heads_, head_width_, heads_;
  LatentConfig latent_;
  std::vector<DiskTensor> tensors_;
};

// Runs of a tensor's rows: [runs, rows of each, the rest].
Tensor runs_of(const Tensor& rows, int64_t runs) {
  return rows.reshape({runs, rows.size(0) / runs, rows.numel() / rows.size(0)});
}

// The rows of a tensor on disk, [rows, the rest].
Tensor disk_rows(const Tensor& disk) {
  const int64_t last = disk.rank() < 2 ? 1 : disk.size(-1);
  return disk.reshape({disk.numel() / last, last});
}

Tensor region_on_disk(const Tensor& disk, const WeightPiece& piece) {
  const int64_t within = piece.disk_first % piece.stride;
  const Tensor covered =
      disk_rows(disk).narrow(0, piece.disk_first - within, piece.runs * piece.stride);
  return runs_of(covered, piece.runs).narrow(1, within, piece.run());
}

Tensor rows_of(const WeightPiece& piece, const TensorOf& of) {
  return of(*piece.parameter).narrow(0, piece.first_row, piece.rows);
}

Tensor plus(const Tensor& x, double added) {
  Tensor y = x.to(DType::kF32).clone();
  for (float& v : y.span<float>()) v = static_cast<float>(double{v} + added);
  return y;
}

}  // namespace

bool DiskTensor::is_whole() const {
  return pieces.size() == 1 && pieces[0].runs == 1 && !transposed && added == 0.0 &&
         pieces[0].rows == pieces[0].parameter->shape[0];
}

Tensor DiskTensor::gather(const TensorOf& of) const {
  const Shape plain = transposed ? matrices_turned(shape) : shape;
  Tensor out;
  if (pieces.size() == 1) {
    out = rows_of(pieces[0], of).reshape(plain);
  } else {
    const Tensor& like = of(*pieces[0].parameter);
    out = Tensor(plain, like.dtype(), like.device());
    for (const WeightPiece& piece : pieces)
      region_on_disk(out, piece).copy_from(runs_of(rows_of(piece, of), piece.runs));
  }
  if (transposed) out = out.transpose(-2, -1);
  return added == 0.0 ? out : plus(out, added);
}

void DiskTensor::scatter(const Tensor& on_disk, const TensorOf& of) const {
  const Tensor value = added == 0.0 ? on_disk : plus(on_disk, -added);
  const Tensor plain = transposed ? value.transpose(-2, -1) : value;
  if (pieces.size() == 1) {
    rows_of(pieces[0], of).reshape(plain.shape()).copy_from(plain);
    return;
  }
  const Tensor rows = transposed ? plain.clone() : plain;
  for (const WeightPiece& piece : pieces)
    runs_of(rows_of(piece, of), piece.runs).copy_from(region_on_disk(rows, piece));
}

DiskTensor whole_tensor(std::string name, Parameter& p) {
  return {std::move(name), p.shape, false, {plain_piece(p, 0, p.shape[0])}};
}

std::vector<std::vector<size_t>> independent_sets(std::span<const DiskTensor> places) {
  std::vector<size_t> leader(places.size());  // the first place of the set, by way of others
  const auto find = [&](size_t i) {
    while (leader[i] != i) i = leader[i] = leader[leader[i]];
    return i;
  };
  std::map<const Parameter*, size_t> first;
  for (size_t i = 0; i < places.size(); ++i) {
    leader[i] = i;
    for (const WeightPiece& piece : places[i].pieces) {
      const size_t a = find(first.emplace(piece.parameter, i).first->second), b = find(i);
      leader[std::max(a, b)] = std::min(a, b);
    }
  }
  std::vector<std::vector<size_t>> sets;
  std::map<size_t, size_t> number;  // of a leader's set
  for (size_t i = 0; i < places.size(); ++i) {
    const auto [at, is_new] = number.emplace(find(i), sets.size());
    if (is_new) sets.emplace_back();
    sets[at->second].push_back(i);
  }
  return sets;
}

std::string name_on_disk(const WeightRule& rule, int64_t layer) {
  return replaced(rule.disk, "{}", layer);
}

std::vector<DiskTensor> map_weights(Transformer& model, const WeightTables& tables) {
  std::vector<WeightRule> rules;
  for (const auto& table : tables) rules.insert(rules.end(), table.begin(), table.end());
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

namespace {

// As the sequence classifiers of transformers call it, whatever the family, and the token classifiers of most;
// those of some older families, which have a bias, have another name.
constexpr WeightRule kScores[] = {{"score", "score"}};
constexpr WeightRule kClassifier[] = {{"classifier", "score"}};
constexpr std::string_view kClassifierFamilies[] = {"bert", "bloom", "falcon", "gpt2", "gpt_neox"};

std::span<const WeightRule> score_rules(const Family& family, const ModelConfig& config) {
  const bool other = config.lm_head_bias && std::ranges::find(kClassifierFamilies, family.name) !=
                                                std::end(kClassifierFamilies);
  if (other) return kClassifier;
  return kScores;
}

}  // namespace

std::vector<DiskTensor> map_weights(Transformer& model, const Family& family) {
  WeightTables tables = family.weights;
  if (family.weights_of != nullptr) tables.push_back(family.weights_of(model.config()));
  if (!tables.empty()) {
    tables.push_back(score_rules(family, model.config()));
    return map_weights(model, tables);
  }
  std::vector<DiskTensor> own;
  for (Parameter* p : model.parameters()) own.push_back(whole_tensor(p->name, *p));
  return own;
}

std::vector<DiskTensor> map_weights(Transformer& model) {
  return map_weights(model, family_for(model.config()));
}

}  // namespace lathe
