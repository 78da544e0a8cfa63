// The bill of a quantised model: what was lost, by tensor and on a text.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "lathe/model/divergence.h"
#include "lathe/model/gguf/budget.h"
#include "lathe/model/gguf/write_gguf.h"

namespace lathe {

struct QuantizeBill {
  std::string type;                // as asked for; "mixed" for a budget
  std::filesystem::path from, to;  // the model, and the file that was written
  std::vector<WrittenTensor> tensors = {};
  std::optional<Divergence> divergence = {};  // from the original on a text
  // Ways to keep an adapter, and what each loses against the original with the adapter in f32.
  std::vector<std::pair<std::string, Divergence>> adapter_ways = {};
  // The sizes and costs to choose from, where a budget decided, and which was chosen.
  std::vector<BudgetPoint> curve = {};
  size_t chosen = 0;
};

nlohmann::ordered_json json_of(const Divergence& d);
std::string in_words(const Divergence& d);  // a line
nlohmann::ordered_json json_of(const QuantizeBill& bill);
void print(const QuantizeBill& bill, std::ostream& out);
// The curve as SVG.
std::string draw_curve(const QuantizeBill& bill);

}  // namespace lathe
