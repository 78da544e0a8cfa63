#include "lathe/cli/commands/eval/answering.h"

#include "lathe/base/env.h"
#include "lathe/cli/commands/model/adapter_options.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/eval/ask/cached_source.h"
#include "lathe/eval/ask/chat_source.h"
#include "lathe/eval/ask/model_source.h"
#include "lathe/eval/ask/recorded_source.h"
#include "lathe/eval/ask/server_source.h"
#include "lathe/io/manifest.h"
#include "lathe/io/sha256.h"
#include "lathe/kernels/kernels.h"
#include "lathe/model/load_model.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

// A model with its tokenizer, as a source of answers.
class LoadedModel : public AnswerSource {
 public:
  LoadedModel(const std::string& path, const std::vector<std::string>& adapters,
              const TaskOptions& o, const Log& log)
      : model_(load_for_inference(path, dtype_of_precision(o.precision), log,
                                  quantised_weights(o.weights))),
        tokenizer_(load_tokenizer(path)),
        source_(*model_, tokenizer_, request_rules(*model_, tokenizer_, path), o.seed,
                AdapterOptions{.adapter = adapters}.load(*model_, log).loras) {}
  void ask(const TaskConfig& task, std::span<const EvalItem> items,
           const std::function<void(std::span<NumberedAnswer>)>& take) override {
    source_.ask(task, items, take);
  }

 private:
  std::unique_ptr<Transformer> model_;
  Tokenizer tokenizer_;
  ModelSource source_;
};

Answering at_server(const TaskOptions& o, const std::string& url, const std::string& name) {
  ServerSetting setting{.url = url,
                        .model = name,
                        .retries = o.retries,
                        .concurrency = o.concurrency,
                        .key = environment("OPENAI_API_KEY")};
  return {.source = std::make_unique<ServerSource>(std::move(setting)),
          .named = {.model = fmt::format("{} {}", url, name)}};
}

Answering in_process(const TaskOptions& o, const std::string& model,
                     const std::vector<std::string>& adapters, ReceiptSource named,
                     const Log& log) {
  named.precision = o.precision;
  named.kernels = kernels::cpu_kernels().level;
  return {.source = std::make_unique<LoadedModel>(model, adapters, o, log),
          .named = std::move(named)};
}

Answering with_cache(Answering of, const TaskOptions& o, const fs::path& folder) {
  const ReceiptSource& named = of.named;
  std::string whom =
      fmt::format("{} {} {} {} {} {} {}", named.model_sha256.value_or(named.model.value_or("")),
                  named.tokenizer_sha256.value_or(""), named.precision.value_or(""), o.weights,
                  named.kernels.value_or(""), o.seed, lathe_version());
  if (named.adapter_sha256) whom += " " + *named.adapter_sha256;
  if (named.chat_template_sha256) whom += " " + *named.chat_template_sha256;
  of.source = std::make_unique<CachedSource>(std::move(of.source), whom, folder);
  return of;
}

}  // namespace

bool is_address(const std::string& model) {
  return model.starts_with("http://") || model.starts_with("https://");
}

Answering answering_of(const TaskOptions& o, const std::optional<std::string>& model,
                       const Log& log) {
  if (o.responses)
    return {.source = std::make_unique<RecordedSource>(*o.responses),
            .named = {.responses_sha256 = sha256_of_file(*o.responses)}};
  Answering all = is_address(*model)
                      ? at_server(o, *model, *o.model_name)
                      : in_process(o, *model, o.adapter, source_of_model(*model, o.adapter), log);
  return o.cache ? with_cache(std::move(all), o, *o.cache) : std::move(all);
}

Answering judge_of(const TaskOptions& o, const Log& log) {
  if (!o.judge) return {};
  Answering judge = is_address(*o.judge)
                        ? at_server(o, *o.judge, *o.judge_name)
                        : in_process(o, *o.judge, {}, source_of_judge(*o.judge), log);
  if (judge.named.chat_template_sha256)
    judge.source =
        std::make_unique<ChatSource>(std::move(judge.source), ChatTemplate::load(*o.judge));
  return o.cache ? with_cache(std::move(judge), o, fs::path(*o.cache) / "judge") : std::move(judge);
}

}  // namespace lathe
