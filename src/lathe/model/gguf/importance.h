// How much the columns of each matrix matter: the mean square of the inputs that they are multiplied
// with. With y = Wx, quantising W to W' costs E|(W - W')x|² = sum over columns of E[x²]·|w - w'|²,
// as far as inputs are independent; so encoders weigh errors by it.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "lathe/model/gguf/calibration.h"

namespace lathe {

// For each tensor of a GGUF file by name; for experts one expert after the other.
using Importances = std::map<std::string, std::vector<float>>;

// Those of one tensor; empty if there are none, or `all` is null.
std::span<const float> importance_of(const Importances* all, const std::string& name);

// Of the matrices that show_inputs() shows, and as it throws; kConfig for a model without a GGUF
// architecture.
Importances calibrate(Transformer& model, std::span<const int32_t> text,
                      const CalibrationOptions& options = {});

// A file of llama.cpp's llama-imatrix: GGUF with tensors NAME.in_sum2 and NAME.counts, or the older
// binary list. Throws kFormat for any other file and for damage.
Importances read_imatrix(const std::filesystem::path& path);

}  // namespace lathe
