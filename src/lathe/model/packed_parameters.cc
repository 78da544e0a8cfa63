#include "lathe/model/packed_parameters.h"

#include "lathe/ops/quantized_matrix.h"

namespace lathe {
namespace {

bool can_stay_packed(const DiskTensor& place, const BlockType* type) {
  const Parameter& p = *place.pieces.front().parameter;
  return type != nullptr && kernels::can_pack(*type) && place.shape.rank() >= 2 &&
         !p.full_precision && !place.transposed && place.added == 0.0;
}

}  // namespace

void PackedParameters::add(const DiskTensor& place, const ArraySpan& array) {
  const BlockType* type = find_block_type(array.dtype);
  const bool stays = can_stay_packed(place, type);
  for (const WeightPiece& piece : place.pieces) {
    if (!stays) {
      excluded_.insert(piece.parameter);
      continue;
    }
    const int64_t row_bytes = piece.parameter->shape[1] / type->block * type->bytes;
    Rows& rows = rows_[piece.parameter];
    rows.all.resize(static_cast<size_t>(piece.parameter->shape[0]));
    rows.of_one = piece.parameter->shape[0] / (place.shape.rank() == 3 ? place.shape[0] : 1);
    for (int64_t i = 0; i < piece.rows; ++i) {
      const int64_t on_disk = piece.disk_first + i / piece.run() * piece.stride + i % piece.run();
      rows.all[static_cast<size_t>(piece.first_row + i)] = {
          type, array.bytes.data() + on_disk * row_bytes};
    }
  }
}

bool PackedParameters::has(const DiskTensor& place) const {
  const Parameter* p = place.pieces.front().parameter;
  return !excluded_.contains(p) && rows_.contains(const_cast<Parameter*>(p));
}

void PackedParameters::place() const {
  Arena memory;
  for (const auto& [parameter, rows] : rows_) {
    if (excluded_.contains(parameter)) continue;
    std::vector<ops::QuantizedMatrix::Rows> parts;
    for (size_t i = 0; i < rows.all.size(); ++i) {
      const Row& row = rows.all[i];
      if (i % static_cast<size_t>(rows.of_one) == 0 || parts.back().type != row.type)
        parts.push_back({row.type, {}});
      parts.back().blocks.push_back(row.blocks);
    }
    parameter->value = Weight(std::make_shared<const ops::QuantizedMatrix>(
        parameter->shape[1], std::span(parts), memory));
  }
}

}  // namespace lathe
