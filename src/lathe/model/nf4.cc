#include "lathe/model/nf4.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/model/stored_model.h"
#include "lathe/model/weight_map.h"
#include "lathe/ops/nf4_matrix.h"
#include "lathe/tensor/blocks/bitsandbytes.h"

namespace lathe {
namespace {

// What the last layer says, tokens or scores, is left as it is.
bool is_linear(const DiskTensor& place) {
  const Parameter& p = *place.pieces.front().parameter;
  return p.rounds() && p.shape.rank() == 2 && !p.is_table && p.name != "head.weight" &&
         p.name != "score.weight";
}

// The place's matrix, whose rows are outputs, whichever way they are stored.
Tensor rows_of(const DiskTensor& place) {
  const Tensor stored = place.gather(value_of);
  const Tensor rows =
      (place.transposed ? stored.transpose(0, 1) : stored).to(DType::kF32).to(Device::kCpu).clone();
  require(!rows.holds_values() ||
              std::ranges::all_of(rows.span<float>(), [](float v) { return std::isfinite(v); }),
          ErrorKind::kData, place.name,
          "has an element that is not finite and cannot be quantised; mend the weights first");
  return rows;
}

void round_one(const DiskTensor& place, bool quantise_scales) {
  const Tensor rows = rows_of(place);
  round_to_nf4(rows, quantise_scales);
  place.scatter(place.transposed ? rows.transpose(0, 1) : rows, value_of);
}

// What will be a parameter's matrix.
struct Packing {
  std::vector<ops::Nf4Matrix::Row> rows;
  std::vector<std::shared_ptr<const Nf4Numbers>> numbers;
};

void pack_one(const DiskTensor& place, const std::shared_ptr<const Nf4Numbers>& numbers,
              std::map<Parameter*, Packing>& all) {
  for (const WeightPiece& piece : place.pieces) {
    Packing& packing = all[piece.parameter];
    const int64_t columns = piece.parameter->shape[1];
    packing.rows.resize(static_cast<size_t>(piece.parameter->shape[0]));
    if (packing.numbers.empty() || packing.numbers.back() != numbers)
      packing.numbers.push_back(numbers);
    for (int64_t i = 0; i < piece.rows; ++i) {
      const int64_t on_disk = piece.disk_first + i / piece.run() * piece.stride + i % piece.run();
      packing.rows[static_cast<size_t>(piece.first_row + i)] = {
          numbers.get(), static_cast<size_t>(on_disk * columns)};
    }
  }
}

// Those of the places in `set`, which are all of their parameters'.
void pack_set(std::span<const DiskTensor> places, std::span<const size_t> set,
              bool quantise_scales) {
  std::map<Parameter*, Packing> all;
  for (const size_t at : set)
    if (is_linear(places[at]))
      pack_one(places[at],
               std::make_shared<const Nf4Numbers>(encode_nf4(rows_of(places[at]), quantise_scales)),
               all);
  for (auto& [parameter, packing] : all)
    parameter->value = Weight(std::make_shared<const ops::Nf4Matrix>(
        parameter->shape[1], std::move(packing.rows), std::move(packing.numbers)));
}

}  // namespace

void round_to_nf4(Transformer& model, bool quantise_scales) {
  const std::vector<DiskTensor> places = map_weights(model);
  parallel_dynamic(std::ssize(places), [&](int64_t i, int) {
    const DiskTensor& place = places[static_cast<size_t>(i)];
    if (is_linear(place)) round_one(place, quantise_scales);
  });
}

void load_as_nf4(Transformer& model, const std::filesystem::path& path, DType dtype, Device device,
                 bool quantise_scales, const Log& log) {
  const StoredWeights weights = open_stored_model(path)->weights(model);
  const size_t stored = weights.places.size();
  // Behind those of the file, whose rows may be in another order, those that say where blocks run.
  std::vector<DiskTensor> places = weights.places;
  std::ranges::move(map_weights(model), std::back_inserter(places));
  model.set_activations(dtype);
  const auto sets = independent_sets(places);
  parallel_dynamic(std::ssize(sets), [&](int64_t i, int) {
    const std::vector<size_t>& set = sets[static_cast<size_t>(i)];
    for (const size_t at : set)
      for (const WeightPiece& piece : places[at].pieces)
        if (!piece.parameter->value.tensor().defined())
          piece.parameter->value = Tensor(piece.parameter->shape, dtype, device);
    std::vector<size_t> own;
    for (const size_t at : set)
      at < stored ? weights.copy(at) : own.push_back(at);
    pack_set(places, own, quantise_scales);
  });
  weights.warn_of_unused(path, log);
}

}  // namespace lathe
