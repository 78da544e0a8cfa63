#include "lathe/eval/run/receipt.h"

#include <algorithm>
#include <array>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/base/strings.h"
#include "lathe/eval/run/training_flops.h"
#include "lathe/io/array_reader.h"
#include "lathe/io/manifest.h"
#include "lathe/io/sha256.h"
#include "lathe/text/chat_template.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::array kOfTheRun = {"responses_sha256", "seed", "shots"};
constexpr std::array kOfASource = {"model_sha256",         "adapter_sha256", "tokenizer_sha256",
                                   "chat_template_sha256", "precision",      "kernels"};
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

void require_hash(const std::string& file, const std::optional<std::string>& now,
                  const Json& then) {
  const auto shown = [](const Json& hash) {
    return hash.is_null() ? "none" : hash.get<std::string>().substr(0, 12);
  };
  require(or_null(now) == then, ErrorKind::kData, file,
          "is not what it was when the receipt was written: its SHA-256 was {}, and is {}; put the "
          "old one back, or run the tasks anew with --tasks",
          shown(then), shown(or_null(now)));
}

// A server, or none, has no hashes.
bool has_hashes(const Json& source) { return !at(source, "model_sha256").is_null(); }

std::vector<std::string> adapters_of(const Json& receipt) {
  const Json named = at(at(receipt, "options"), "adapter");
  return named.is_array() ? named.get<std::vector<std::string>>() : std::vector<std::string>{};
}

// Of a model or judge in a receipt, which now is another source.
void require_source_unchanged(const Json& then, const ReceiptSource& now,
                              const std::vector<std::string>& adapters) {
  const std::string& model = *now.model;
  require_hash(model, now.model_sha256, at(then, "model_sha256"));
  require_hash(adapters.empty() ? "adapter" : join(adapters, ", "), now.adapter_sha256,
               at(then, "adapter_sha256"));
  require_hash(tokenizer_file(model).string(), now.tokenizer_sha256, at(then, "tokenizer_sha256"));
  require_hash(model + ": the chat template", now.chat_template_sha256,
               at(then, "chat_template_sha256"));
}

}  // namespace

ReceiptSource source_of_model(const fs::path& model, std::span<const std::string> adapters) {
  ReceiptSource source;
  source.model = fs::absolute(model).lexically_normal().string();
  source.model_sha256 = weights_sha256(model);
  source.training_flops = training_flops(model);
  if (const fs::path file = tokenizer_file(model); !file.empty())
    source.tokenizer_sha256 = sha256_of_file(file);
  std::string hashes;
  for (const fs::path folder : adapters)
    for (const char* file : {"adapter_config.json", "adapter_model.safetensors"})
      hashes += sha256_of_file(folder / file) + "\n";
  if (!adapters.empty()) source.adapter_sha256 = sha256_of_text(hashes);
  return source;
}

ReceiptSource source_of_judge(const fs::path& judge) {
  ReceiptSource source = source_of_model(judge);
  if (ChatTemplate::exists(judge.string()))
    source.chat_template_sha256 = sha256_of_text(ChatTemplate::load(judge.string()).sources());
  return source;
}

Json receipt_of(const ReceiptRun& run, const ReceiptSource& source, const ReceiptSource* judge,
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
                  {"training_flops", or_null(source.training_flops)},
                  {"precision", or_null(source.precision)},
                  {"kernels", or_null(source.kernels)},
                  {"threads", facts.threads},
                  {"seed", run.seed},
                  {"shots", run.shots},
                  {"machine", facts.cpu},
                  {"started", facts.created},
                  {"seconds", 0}};
  if (judge)
    receipt["judge"] = {{"model", or_null(judge->model)},
                        {"model_sha256", or_null(judge->model_sha256)},
                        {"tokenizer_sha256", or_null(judge->tokenizer_sha256)},
                        {"chat_template_sha256", or_null(judge->chat_template_sha256)},
                        {"precision", or_null(judge->precision)},
                        {"kernels", or_null(judge->kernels)}};
  receipt["tasks"] = Json::object();
  for (const AskedTask& asked : tasks) receipt["tasks"][asked.name()] = json_of(asked);
  return receipt;
}

std::vector<std::string> differences(const Json& a, const Json& b, const std::string& task) {
  std::vector<std::string> names;
  const auto compare = [&](const Json& x, const Json& y, auto keys, const std::string& of = "") {
    for (const char* key : keys)
      if (at(x, key) != at(y, key)) names.push_back(of + key);
  };
  // A server's weights are not known: it is known by its address and name.
  const auto compare_sources = [&](const Json& x, const Json& y, const std::string& of) {
    compare(x, y, kOfASource, of);
    if (at(x, "model_sha256").is_null() && at(y, "model_sha256").is_null())
      compare(x, y, std::array{"model"}, of);
  };
  compare_sources(a, b, "");
  compare_sources(at(a, "judge"), at(b, "judge"), "judge.");
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
  if (has_hashes(receipt)) {
    const std::vector<std::string> adapters = adapters_of(receipt);
    const auto model = at(receipt, "model").get<std::string>();
    require_source_unchanged(receipt, source_of_model(model, adapters), adapters);
  }
  if (const Json judge = at(receipt, "judge"); has_hashes(judge))
    require_source_unchanged(judge, source_of_judge(at(judge, "model").get<std::string>()), {});
}

}  // namespace lathe
