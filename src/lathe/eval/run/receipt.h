// receipt.json: all that a score follows from, so that it can be trusted, repeated and compared. docs/formats.md has the
// keys.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lathe/eval/run/eval_run.h"

namespace lathe {

// What answers, as a receipt names it. Absent: there is none, as of a server's weights.
struct ReceiptSource {
  std::optional<std::string> model = {};  // a path, or an address and a name
  std::optional<std::string> model_sha256 = {}, tokenizer_sha256 = {}, responses_sha256 = {};
  std::optional<std::string> adapter_sha256 = {};
  std::optional<std::string> chat_template_sha256 = {};  // of a judge that has one
  std::optional<std::string> precision = {}, kernels = {};
  std::optional<double> training_flops = {};  // training_flops.h
};
// Hashes what is at `model`: the weights' file, or the hashes of its shards one a line, and the tokenizer's; and of
// adapters, which are folders, the hashes of adapter_config.json and weights, one a line. Error kIo for one that is missing.
ReceiptSource source_of_model(const std::filesystem::path& model,
                              std::span<const std::string> adapters = {});
// And the chat template's, with the texts of its special tokens: a judge is asked through it.
ReceiptSource source_of_judge(const std::filesystem::path& judge);

struct ReceiptRun {
  std::string command;
  // Options by their names, from which the run can be repeated; paths are absolute.
  nlohmann::ordered_json options;
  int64_t shots = 0, seed = 0;
};

// `judge`, where tasks ask one, stands as an object with the same keys of its own.
nlohmann::ordered_json receipt_of(const ReceiptRun& run, const ReceiptSource& source,
                                  const ReceiptSource* judge, std::span<const AskedTask> tasks);

// The names of what differs in two receipts and can change a score: of the run, and of a task.
std::vector<std::string> differences(const nlohmann::ordered_json& a,
                                     const nlohmann::ordered_json& b, const std::string& task);

// Error kData, naming the file, if a task, its data, the model, the tokenizer, the judge or the answers are not those of the
// receipt any more.
void require_unchanged(const nlohmann::ordered_json& receipt);

}  // namespace lathe
