#include "lathe/cli/commands/model/quantize_bill.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/model/gguf/gguf_model.h"
#include "lathe/report/chart.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// The types that a GGUF file's matrices had before.
std::vector<std::string> source_types(const std::filesystem::path& model) {
  std::vector<std::string> types;
  if (!is_gguf_file(model)) return types;
  const GgufReader file(model);
  for (const ArraySpan& array : file.arrays())
    if (array.shape.size() > 1 && std::ranges::find(types, array.dtype) == types.end())
      types.push_back(array.dtype);
  return types;
}

double bits_per_weight(const std::vector<WrittenTensor>& tensors) {
  double bits = 0, elements = 0;
  for (const WrittenTensor& t : tensors) {
    bits += t.type->bits() * static_cast<double>(t.elements);
    elements += static_cast<double>(t.elements);
  }
  return bits / elements;
}

std::vector<std::string> fallbacks(const std::vector<WrittenTensor>& tensors) {
  std::vector<std::string> names;
  for (const WrittenTensor& t : tensors)
    if (t.is_fallback) names.push_back(t.name);
  return names;
}

Json ways_json(const QuantizeBill& bill) {
  Json ways = Json::array();
  for (const auto& [how, d] : bill.adapter_ways)
    ways.push_back({{"how", how},
                    {"perplexity", d.perplexity},
                    {"kl_mean", d.kl_mean},
                    {"kl_p99", d.kl_p99},
                    {"top1_agreement", d.top1_agreement}});
  return ways;
}

void print_ways(const QuantizeBill& bill, std::ostream& out) {
  out << fmt::format("{:<40} {:>10} {:>10} {:>10}\n", "the adapter", "perplexity", "KL mean",
                     "KL 99 %");
  for (const auto& [how, d] : bill.adapter_ways)
    out << fmt::format("{:<40} {:>10.4f} {:>10.6f} {:>10.5f}\n", how, d.perplexity, d.kl_mean,
                       d.kl_p99);
}

Json curve_json(const QuantizeBill& bill) {
  Json curve = Json::array();
  for (size_t i = 0; i < bill.curve.size(); ++i)
    curve.push_back(
        {{"bytes", bill.curve[i].bytes}, {"kl", bill.curve[i].kl}, {"chosen", i == bill.chosen}});
  return curve;
}

// "blk.3" of "blk.3.ffn_up.weight", "dec.blk.3" of "dec.blk.3.ffn_up.weight", else the name without
// its ending.
std::string layer_of(const std::string& name) {
  constexpr std::string_view kBlock = "blk.";
  const size_t block = name.find(kBlock);
  if (block == std::string::npos) return name.substr(0, name.rfind('.'));
  return name.substr(0, name.find('.', block + kBlock.size()));
}

void print_errors_by_layer(const std::vector<WrittenTensor>& tensors, std::ostream& out) {
  std::vector<std::pair<std::string, const WrittenTensor*>> worst;
  for (const WrittenTensor& t : tensors) {
    const std::string layer = layer_of(t.name);
    if (worst.empty() || worst.back().first != layer) worst.emplace_back(layer, &t);
    if (t.rmse > worst.back().second->rmse) worst.back().second = &t;
  }
  out << fmt::format("{:<14} {:>10}  {}\n", "layer", "rmse", "of its worst tensor");
  for (const auto& [layer, t] : worst)
    out << fmt::format("{:<14} {:>10.3g}  {} ({})\n", layer, t->rmse, t->name, t->type->name);
}

// "Q4_K 64, Q6_K 12": how many matrices have which type.
std::string types_in_words(const std::vector<WrittenTensor>& tensors) {
  std::map<std::string_view, int> counts;
  for (const WrittenTensor& t : tensors) ++counts[t.type->name];
  std::vector<std::string> words;
  for (const auto& [name, count] : counts) words.push_back(fmt::format("{} {}", name, count));
  return join(words, ", ");
}

}  // namespace

Json json_of(const Divergence& d) {
  return {{"windows", d.windows},
          {"tokens", d.tokens},
          {"perplexity", d.perplexity},
          {"perplexity_original", d.perplexity_original},
          {"kl_mean", d.kl_mean},
          {"kl_p99", d.kl_p99},
          {"top1_agreement", d.top1_agreement}};
}

std::string in_words(const Divergence& d) {
  return fmt::format(
      "perplexity {:.4f} (original {:.4f}), KL mean {:.6f}, 99th percentile {:.5f}, same likeliest "
      "token {:.2f} %, over {} tokens\n",
      d.perplexity, d.perplexity_original, d.kl_mean, d.kl_p99, 100 * d.top1_agreement, d.tokens);
}

Json json_of(const QuantizeBill& bill) {
  Json json = {{"type", bill.type},
               {"file_bytes", std::filesystem::file_size(bill.to)},
               {"bits_per_weight", bits_per_weight(bill.tensors)}};
  if (const auto types = source_types(bill.from); !types.empty()) json["source_types"] = types;
  if (bill.divergence) json.update(json_of(*bill.divergence));
  Json list = Json::array();
  for (const WrittenTensor& t : bill.tensors) {
    list.push_back({{"name", t.name}, {"type", t.type->name}, {"rmse", t.rmse}});
    if (t.has_feedback) list.back()["error_feedback"] = true;
  }
  json["tensors"] = std::move(list);
  json["fallbacks"] = fallbacks(bill.tensors);
  if (!bill.adapter_ways.empty()) json["adapter_ways"] = ways_json(bill);
  if (!bill.curve.empty()) json["curve"] = curve_json(bill);
  return json;
}

void print(const QuantizeBill& bill, std::ostream& out) {
  print_errors_by_layer(bill.tensors, out);
  out << fmt::format("{}: {}, {:.2f} bits per weight; tensors: {}\n", bill.to.string(),
                     human_bytes(static_cast<double>(std::filesystem::file_size(bill.to))),
                     bits_per_weight(bill.tensors), types_in_words(bill.tensors));
  if (const auto types = source_types(bill.from); !types.empty())
    out << fmt::format("made from a file that was in {}\n", join(types, ", "));
  if (const auto fed = std::ranges::count_if(bill.tensors, &WrittenTensor::has_feedback); fed > 0)
    out << fmt::format("error feedback lowered the error of the outputs of {} matrices\n", fed);
  if (const auto names = fallbacks(bill.tensors); !names.empty())
    out << fmt::format(
        "rows are not whole blocks of the wanted type, so a simpler one is used for: {}\n",
        join_some(names));
  if (bill.divergence) out << in_words(*bill.divergence);
  if (!bill.adapter_ways.empty()) print_ways(bill, out);
  if (!bill.divergence) out << "give --eval TEXT to see what this costs in perplexity and KL\n";
}

std::string draw_curve(const QuantizeBill& bill) {
  const auto point = [](const BudgetPoint& p) {
    return ChartPoint{static_cast<double>(p.bytes) / (1 << 20), p.kl};
  };
  ChartSeries all{.name = "best for the size", .color = 1, .points = {}};
  for (const BudgetPoint& p : bill.curve) all.points.push_back(point(p));
  const ChartSeries chosen{
      .name = "chosen", .color = 2, .dots = true, .points = {point(bill.curve[bill.chosen])}};
  return draw_chart({.title = "predicted KL by size of the matrices",
                     .x_label = "MiB",
                     .series = {all, chosen},
                     .y_scale = AxisScale::kLog},
                    ChartUse::kFile);
}

}  // namespace lathe
