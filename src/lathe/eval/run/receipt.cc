#include "lathe/eval/run/receipt.h"

#include <algorithm>
#include <array>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/base/strings.h"
#include "lathe/io/array_reader.h"
#include "lathe/io/manifest.h"
#include "lathe/io/sha256.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::array kOfTheRun = {"model_sha256", "adapter_sha256", "tokenizer_sha256",
                                  "precision",    "kernels",        "responses_sha256",
                                  "seed",         "shots"};
constexpr std::array kOfTheOptions = {"weights", "chat", "system", "shots_as_turns"};
constexpr std::array kOfATask = {"prompt_sha256", "data_sha256", "shots_sha256", "task_sha256"};

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

std::string weights_sha256(const fs::path& model) {
  std::error_code ignored;
  if (!fs::is_directory(model, ignored)) return sha256_of_file(model);
  const std::vector<fs::path> files = open_weights(model)->files();
  if (files.size() == 1) return sha256_of_file(files[0]);
  std::string hashes;
  for (const fs::path& file : files) hashes += sha256_of_file(file) + "\n";
  return sha256_of_text(hashes);
}

// The files that load_tokenizer() looks for in a folder, in its order.
fs::path tokenizer_file(const fs::path& model) {
  std::error_code ignored;
  if (!fs::is_directory(model, ignored)) return model;
  for (const char* name : {"tokenizer.json", "tokenizer.model", "vocab.txt"})
    if (fs::exists(model / name, ignored)) return model / name;
  return {};
}

std::string path_of(const fs::path& file) { return fs::absolute(file).lexically_normal().string(); }

// Of one file its hash; of several, that of their hashes, one a line.
std::string sha256_of(const Json& files) {
  if (files.size() == 1) return files.begin().value();
  std::string hashes;
  for (const auto& [file, hash] : files.items()) hashes += hash.get<std::string>() + "\n";
  return sha256_of_text(hashes);
}

Json hashes_of(const TaskRows& rows) {
  Json files = Json::object();
  for (const fs::path& file : rows.files) files[path_of(file)] = sha256_of_file(file);
  return files;
}

Json json_of(const AskedTask& asked) {
  const TaskConfig& config = asked.task.config();
  const Json data = hashes_of(asked.task.rows());
  Json json = {{"file", config.is_builtin ? Json(nullptr) : Json(path_of(config.file))},
               {"items", asked.items.size()},
               {"prompt_sha256", asked.prompt_sha256},
               {"data_sha256", sha256_of(data)},
               {"task_sha256", sha256_of_text(config.text)},
               {"data", data}};
  if (const TaskRows* shots = asked.task.shots_rows()) {
    json["shots_data"] = hashes_of(*shots);
    json["shots_sha256"] = sha256_of(json["shots_data"]);
  }
  return json;
}

Json at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? Json(nullptr) : *found;
}

void require_hash(const std::string& file, const std::string& now, const Json& then) {
  if (then.is_null()) return;
  require(now == then.get<std::string>(), ErrorKind::kData, file,
          "is not what it was when the receipt was written: its SHA-256 was {}, and is {}; put the "
          "old one back, or run the tasks anew with --tasks",
          then.get<std::string>().substr(0, 12), now.substr(0, 12));
}

}  // namespace

ReceiptSource source_of_model(const fs::path& model, std::span<const std::string> adapters) {
  ReceiptSource source;
  source.model = fs::absolute(model).lexically_normal().string();
  source.model_sha256 = weights_sha256(model);
  if (const fs::path file = tokenizer_file(model); !file.empty())
    source.tokenizer_sha256 = sha256_of_file(file);
  std::string hashes;
  for (const fs::path folder : adapters)
    for (const char* file : {"adapter_config.json", "adapter_model.safetensors"})
      hashes += sha256_of_file(folder / file) + "\n";
  if (!adapters.empty()) source.adapter_sha256 = sha256_of_text(hashes);
  return source;
}

Json receipt_of(const ReceiptRun& run, const ReceiptSource& source,
                std::span<const AskedTask> tasks) {
  const Manifest facts = new_manifest("evaluation", run.command);
  Json receipt = {{"version", facts.version},
                  {"command", run.command},
                  {"options", run.options},
                  {"model", or_null(source.model)},
                  {"model_sha256", or_null(source.model_sha256)},
                  {"adapter_sha256", or_null(source.adapter_sha256)},
                  {"tokenizer_sha256", or_null(source.tokenizer_sha256)},
                  {"responses_sha256", or_null(source.responses_sha256)},
                  {"precision", or_null(source.precision)},
                  {"kernels", or_null(source.kernels)},
                  {"threads", facts.threads},
                  {"seed", run.seed},
                  {"shots", run.shots},
                  {"machine", facts.cpu},
                  {"started", facts.created},
                  {"seconds", 0}};
  receipt["tasks"] = Json::object();
  for (const AskedTask& asked : tasks) receipt["tasks"][asked.name()] = json_of(asked);
  return receipt;
}

std::vector<std::string> differences(const Json& a, const Json& b, const std::string& task) {
  std::vector<std::string> names;
  const auto compare = [&](const Json& x, const Json& y, auto keys) {
    for (const char* key : keys)
      if (at(x, key) != at(y, key)) names.emplace_back(key);
  };
  compare(a, b, kOfTheRun);
  compare(at(a, "options"), at(b, "options"), kOfTheOptions);
  const auto of_task = [&](const Json& receipt) { return at(at(receipt, "tasks"), task.c_str()); };
  const Json x = of_task(a), y = of_task(b);
  if (x.is_object() && y.is_object()) compare(x, y, kOfATask);
  return names;
}

void require_unchanged(const Json& receipt) {
  const Json tasks = at(receipt, "tasks");
  for (const auto& [name, task] : tasks.items()) {
    if (const Json file = at(task, "file"); file.is_string())
      require_hash(file, sha256_of_file(file.get<std::string>()), at(task, "task_sha256"));
    for (const char* data : {"data", "shots_data"})
      if (const Json files = at(task, data); files.is_object())
        for (const auto& [file, hash] : files.items())
          require_hash(file, sha256_of_file(file), hash);
  }
  if (const Json responses = at(at(receipt, "options"), "responses"); responses.is_string())
    require_hash(responses, sha256_of_file(responses.get<std::string>()),
                 at(receipt, "responses_sha256"));
  if (at(receipt, "model_sha256").is_null()) return;
  const auto model = at(receipt, "model").get<std::string>();
  std::vector<std::string> adapters;
  if (const Json named = at(at(receipt, "options"), "adapter"); named.is_array())
    adapters = named.get<std::vector<std::string>>();
  const ReceiptSource now = source_of_model(model, adapters);
  require_hash(model, now.model_sha256.value_or(""), at(receipt, "model_sha256"));
  require_hash(adapters.empty() ? "adapter" : join(adapters, ", "), now.adapter_sha256.value_or(""),
               at(receipt, "adapter_sha256"));
  require_hash(tokenizer_file(model).string(), now.tokenizer_sha256.value_or(""),
               at(receipt, "tokenizer_sha256"));
}

}  // namespace lathe
