// One curve of a run, ready to be drawn with those of other runs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lathe/report/chart.h"

namespace lathe {

// The axes that `lathe plot` can draw. Positions come from `lathe eval`, everything else from runs.
enum class CurveY {
  kValidationLoss,
  kLoss,
  kBitsPerByte,
  kGradientNorm,
  kValidationReward,
  kReward
};
enum class CurveX { kStep, kTokens, kFlops, kPosition };

// `source` is the folder of a training run or, for kPosition, a file that `lathe eval --out` wrote.
// At least one point is finite; the others are gaps of the chart. Errors: as read_run(); kData if
// it holds no such numbers, with what to do.
std::vector<ChartPoint> read_curve(const std::filesystem::path& source, CurveY y, CurveX x);

// Where the curve first falls to `level`, on straight lines between its points; absent if it never
// does.
std::optional<double> first_at_or_below(const std::vector<ChartPoint>& points, double level);

}  // namespace lathe
