// How the server is: /health, /metrics, /slots, /v1/models, /v1/cancel.
#include "lathe/serve/api/endpoints.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

Json description(const ServedModel& model) {
  return {{"id", model.name()},
          {"object", "model"},
          {"created", model.loaded_at()},
          {"owned_by", "lathe"},
          {"context_length", model.context()},
          {"writes", model.writes()},
          {"state", "loaded"}};
}

}  // namespace

void health(ApiContext&, const ApiCall& call) { call.reply->json({{"status", "ok"}}); }

void metrics(ApiContext& context, const ApiCall& call) {
  ServeMetrics::Gauge running{"lathe_requests_running", "texts that are written", {}},
      waiting{"lathe_requests_waiting", "texts that wait for a place", {}},
      cache{"lathe_kv_cache_usage_ratio", "share of the cache's blocks that texts hold", {}};
  for (const auto& model : context.models.all()) {
    if (!model->writes()) continue;
    const EngineStatistics s = model->engine().statistics();
    running.by_model.emplace_back(model->name(), s.running);
    waiting.by_model.emplace_back(model->name(), s.waiting);
    const double blocks = static_cast<double>(std::max<int64_t>(s.blocks, 1));
    cache.by_model.emplace_back(model->name(), static_cast<double>(s.blocks_held) / blocks);
  }
  const ServeMetrics::Gauge all[] = {running, waiting, cache};
  call.reply->text(context.metrics.text(all), "text/plain; version=0.0.4; charset=utf-8");
}

void slots(ApiContext& context, const ApiCall& call) {
  Json all = Json::array();
  for (const auto& [id, state] : context.open.states())
    all.push_back({{"id", id},
                   {"model", state.model},
                   {"state", state.writing ? "writing" : "reading"},
                   {"prompt_tokens", state.prompt_tokens},
                   {"generated_tokens", state.new_tokens},
                   {"age_seconds", state.seconds}});
  call.reply->json(all);
}

void list_models(ApiContext& context, const ApiCall& call) {
  Json data = Json::array();
  for (const auto& model : context.models.all()) data.push_back(description(*model));
  call.reply->json({{"object", "list"}, {"data", std::move(data)}});
}

void show_model(ApiContext& context, const ApiCall& call) {
  const ServedModel* model = context.models.find(call.rest);
  if (model == nullptr)
    throw ApiError(404, fmt::format("there is no model '{}'", call.rest), "model",
                   "model_not_found");
  call.reply->json(description(*model));
}

void cancel_request(ApiContext& context, const ApiCall& call) {
  RequestFields fields(call.request.body);
  const Json& id = fields.get("id");
  if (!id.is_string()) refuse("id", "expected the id of an answer that is being written");
  const auto generation = context.open.find(id.get<std::string>());
  if (!generation) throw ApiError(404, "no open request has this id", "id");
  generation->cancel(/*quietly=*/false);
  call.reply->json({{"id", id}, {"cancelled", true}});
}

}  // namespace lathe
