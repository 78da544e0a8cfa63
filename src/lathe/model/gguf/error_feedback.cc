#include "lathe/model/gguf/error_feedback.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "lathe/base/parallel.h"
#include "lathe/kernels/kernels.h"
#include "lathe/model/family.h"
#include "lathe/model/gguf/architecture.h"

namespace lathe {
namespace {

// Of SmolLM2-135M as Q4_0 a tenth has a lower KL than a hundredth, which is usual.
constexpr double kDamping = 0.1;
constexpr int64_t kPanel = 64;  // columns of a factorisation that are worked on together

// A square matrix in f64, row by row.
class Square {
 public:
  explicit Square(int64_t n) : n_(n), values_(static_cast<size_t>(n * n)) {}
  int64_t size() const { return n_; }
  double* row(int64_t i) { return values_.data() + i * n_; }
  const double* row(int64_t i) const { return values_.data() + i * n_; }

 private:
  int64_t n_;
  std::vector<double> values_;
};

double dot(const double* a, const double* b, int64_t n) {
  constexpr int64_t kLanes = 8;
  std::array<double, kLanes> lanes{};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane)
      lanes[static_cast<size_t>(lane)] += a[i + lane] * b[i + lane];
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// The lower triangle of a symmetric positive definite matrix -> L with L·Lᵀ, in place.
void factorise(Square& a) {
  const auto element = [&](int64_t i, int64_t j) {
    const double rest = a.row(i)[j] - dot(a.row(i), a.row(j), j);
    a.row(i)[j] = i == j ? std::sqrt(rest) : rest / a.row(j)[j];
  };
  for (int64_t first = 0; first < a.size(); first += kPanel) {
    const int64_t end = std::min(first + kPanel, a.size());
    for (int64_t i = first; i < end; ++i)
      for (int64_t j = first; j <= i; ++j) element(i, j);
    parallel_for(a.size() - end, 8, [&](int64_t below) {
      for (int64_t j = first; j < end; ++j) element(end + below, j);
    });
  }
}

// The inverse of a lower triangle, some of its columns at a time.
Square inverse_of(const Square& l) {
  Square out(l.size());
  const int64_t panels = (l.size() + kPanel - 1) / kPanel;
  parallel_dynamic(panels, [&](int64_t panel, int) {
    const int64_t first = panel * kPanel, end = std::min(first + kPanel, l.size());
    for (int64_t i = first; i < l.size(); ++i) {
      double* to = out.row(i);
      if (i < end) to[i] = 1;
      for (int64_t j = first; j < i; ++j) {
        const double factor = l.row(i)[j];
        const double* from = out.row(j);
        for (int64_t c = first; c < end; ++c) to[c] -= factor * from[c];
      }
      for (int64_t c = first; c < end; ++c) to[c] /= l.row(i)[i];
    }
  });
  return out;
}

// U_jk / U_jj. From the last column to the first, M + damping is L·Lᵀ; then U is the inverse of L, both
// its orders turned back.
Tensor steps_of(const Tensor& moments) {
  const int64_t n = moments.size(0);
  const float* m = moments.data<float>();
  double mean = 0;
  for (int64_t i = 0; i < n; ++i) mean += double{m[i * n + i]} / static_cast<double>(n);
  const double damping = mean > 0 ? kDamping * mean : 1.0;
  Square reversed(n);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) reversed.row(i)[j] = m[(n - 1 - i) * n + (n - 1 - j)];
    reversed.row(i)[i] += damping;
  }
  factorise(reversed);
  const Square inverse = inverse_of(reversed);
  const Tensor steps = Tensor::zeros({n, n}, DType::kF32);
  for (int64_t j = 0; j < n; ++j) {
    const double* from = inverse.row(n - 1 - j);
    for (int64_t k = j; k < n; ++k)
      steps.data<float>()[j * n + k] = static_cast<float>(from[n - 1 - k] / from[n - 1 - j]);
  }
  return steps;
}

// Some rows that are rounded side by side, so that the steps are read once for all of them.
class Tile {
 public:
  static constexpr size_t kRows = 8;

  Tile(const Tensor& values, int64_t first, const Tensor& steps, const BlockType& type)
      : steps_(steps),
        type_(type),
        columns_(static_cast<size_t>(values.size(1))),
        rows_(static_cast<size_t>(std::min<int64_t>(kRows, values.size(0) - first))),
        weights_(columns_ * kRows),
        grids_(kRows),
        integers_(kRows) {
    for (size_t r = 0; r < rows_; ++r) {
      const float* from = values.data<float>() + (first + static_cast<int64_t>(r)) * values.size(1);
      for (size_t c = 0; c < columns_; ++c) weights_[c * kRows + r] = from[c];
    }
    for (auto& grid : grids_) grid.resize(static_cast<size_t>(type.block));
    for (auto& integers : integers_) integers.resize(static_cast<size_t>(type.block));
  }

  // blocks: those of the tile's rows.
  void round(std::span<const float> importance, std::span<std::byte> blocks) {
    const auto width = static_cast<size_t>(type_.block), bytes = static_cast<size_t>(type_.bytes);
    const size_t row_bytes = columns_ / width * bytes;
    for (size_t first = 0; first < columns_; first += width) {
      const auto block_of = [&](size_t r) {
        return blocks.subspan(r * row_bytes + first / width * bytes, bytes);
      };
      const auto matters = importance.empty() ? importance : importance.subspan(first, width);
      for (size_t r = 0; r < rows_; ++r) choose_scales(r, first, matters, block_of(r));
      for (size_t j = 0; j < width; ++j) round_column(first, j);
      for (size_t r = 0; r < rows_; ++r) type_.put(integers_[r], block_of(r));
    }
  }

 private:
  void choose_scales(size_t r, size_t first, std::span<const float> matters,
                     std::span<std::byte> block) {
    std::vector<float> row(static_cast<size_t>(type_.block));
    for (size_t j = 0; j < row.size(); ++j) row[j] = weights_[(first + j) * kRows + r];
    type_.encode(row, matters, block);
    type_.grid(block, grids_[r]);
  }

  void round_column(size_t first, size_t j) {
    const size_t column = first + j;
    std::array<float, kRows> errors{};
    for (size_t r = 0; r < rows_; ++r) {
      const BlockGrid& grid = grids_[r][j];
      const float w = weights_[column * kRows + r];
      const float q = grid.scale == 0 ? 0.0f : std::nearbyint((w - grid.offset) / grid.scale);
      integers_[r][j] = static_cast<int>(
          std::clamp(q, static_cast<float>(grid.lowest), static_cast<float>(grid.highest)));
      errors[r] = w - (grid.scale * static_cast<float>(integers_[r][j]) + grid.offset);
    }
    const float* steps = steps_.data<float>() + column * columns_;
    for (size_t k = column + 1; k < columns_; ++k)
      for (size_t r = 0; r < kRows; ++r) weights_[k * kRows + r] -= errors[r] * steps[k];
  }

  const Tensor& steps_;
  const BlockType& type_;
  size_t columns_, rows_;
  std::vector<float> weights_;  // column by column
  std::vector<std::vector<BlockGrid>> grids_;
  std::vector<std::vector<int>> integers_;
};

}  // namespace

InputMoments::InputMoments(Transformer& model, std::span<const int32_t> text,
                           const CalibrationOptions& options, size_t most_bytes)
    : model_(model), text_(text), options_(options), most_bytes_(most_bytes) {
  for (const DiskTensor& t : map_weights(model, gguf_architecture_of(model.config()))) {
    const Parameter* p = t.pieces.front().parameter;
    if (p->shape.rank() == 2 && p->rounds() && p->name != "embedding.weight" && !run_.contains(p)) {
      order_.push_back(p);
      run_[p] = false;
    }
  }
}

const Tensor* InputMoments::of(const DiskTensor& tensor) {
  const Parameter* p = tensor.pieces.front().parameter;
  const auto run = run_.find(p);
  if (run == run_.end()) return nullptr;
  if (!run->second)
    collect_from(static_cast<size_t>(std::ranges::find(order_, p) - order_.begin()));
  const auto found = sums_.find(p);
  return found == sums_.end() ? nullptr : &found->second.products;
}

void InputMoments::collect_from(size_t first) {
  sums_.clear();
  std::map<const Parameter*, Sum> wanted;
  size_t bytes = 0;
  for (size_t i = first; i < order_.size(); ++i) {
    const int64_t inputs = order_[i]->shape[1];
    bytes += static_cast<size_t>(inputs * inputs) * sizeof(float);
    if (bytes > most_bytes_ && i > first) break;
    wanted[order_[i]] = {};
    run_[order_[i]] = true;
  }
  show_inputs(model_, text_, options_, [&](const Parameter& weight, const Tensor& x) {
    if (!wanted.contains(&weight)) return;
    Sum& sum = sums_[&weight];
    if (!sum.products.defined()) sum.products = Tensor::zeros({x.size(1), x.size(1)}, DType::kF32);
    kernels::kernels_for(x.device())
        .matmul(x.transpose(0, 1), x, {}, sum.products, kernels::Write::kAccumulate);
    sum.rows += x.size(0);
  });
  for (auto& [p, sum] : sums_)
    for (float& v : sum.products.span<float>()) v /= static_cast<float>(sum.rows);
}

ErrorFeedback::ErrorFeedback(const Tensor& moments)
    : moments_(moments), steps_(steps_of(moments)) {}

EncodedTensor ErrorFeedback::encode(const Tensor& values, const BlockType& type,
                                    std::span<const float> importance) const {
  const int64_t rows = values.size(0), columns = values.size(1);
  const auto row_bytes = static_cast<size_t>(columns / type.block * type.bytes);
  EncodedTensor out;
  out.blocks.resize(static_cast<size_t>(rows) * row_bytes);
  constexpr auto kRows = static_cast<int64_t>(Tile::kRows);
  parallel_dynamic((rows + kRows - 1) / kRows, [&](int64_t tile, int) {
    const int64_t first = tile * kRows, count = std::min(kRows, rows - first);
    Tile(values, first, steps_, type)
        .round(importance, std::span(out.blocks)
                               .subspan(static_cast<size_t>(first) * row_bytes,
                                        static_cast<size_t>(count) * row_bytes));
  });
  const Tensor decoded = decode_tensor(out.blocks, type, values.shape());
  for (int64_t i = 0; i < values.numel(); ++i)
    out.squared_error +=
        std::pow(double{decoded.data<float>()[i]} - double{values.data<float>()[i]}, 2);
  return out;
}

double ErrorFeedback::output_error(const Tensor& values, const Tensor& decoded) const {
  const Tensor errors(values.shape(), DType::kF32), of_outputs(values.shape(), DType::kF32);
  for (int64_t i = 0; i < values.numel(); ++i)
    errors.data<float>()[i] = decoded.data<float>()[i] - values.data<float>()[i];
  kernels::kernels_for(values.device())
      .matmul(errors, moments_, {}, of_outputs, kernels::Write::kOverwrite);
  double sum = 0;
  for (int64_t i = 0; i < values.numel(); ++i)
    sum += double{errors.data<float>()[i]} * double{of_outputs.data<float>()[i]};
  return sum;
}

}  // namespace lathe
