// POST /v1/rerank: texts in the order in which they answer a query (embed/relevance.h says by what).
#include <algorithm>
#include <numeric>

#include "lathe/embed/relevance.h"
#include "lathe/serve/api/endpoints.h"
#include "lathe/serve/api/text_work.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostDocuments = 2048;

struct RerankFields {
  std::string query;
  std::optional<int64_t> top_n;
  bool return_documents = false;
  void visit(Visitor& v) {
    v.field("query", query, "what the documents are compared with");
    v.field("top_n", top_n, "results at most, the best ones", at_least(1));
    v.field("return_documents", return_documents, "results hold the documents, too");
  }
};

// Texts, or objects that have them as `text`.
std::vector<std::string> read_documents(RequestFields& fields) {
  constexpr std::string_view kKey = "documents";
  const Json& list = fields.get(kKey);
  if (!list.is_array() || list.empty() || list.size() > kMostDocuments)
    refuse(kKey, "expected a list of texts, at least one and at most {}", kMostDocuments);
  std::vector<std::string> out;
  for (const Json& one : list) {
    const Json text = one.is_object() ? one.value("text", Json()) : one;
    if (!text.is_string() || text.get<std::string>().empty())
      refuse(kKey, "document {} is no text, or empty; expected a text, or an object with `text`",
             out.size());
    out.push_back(text.get<std::string>());
  }
  return out;
}

// Best first; of equal ones the first.
std::vector<size_t> order_of(std::span<const double> scores) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  return order;
}

Json results_of(std::span<const double> scores, std::span<const std::string> documents,
                const RerankFields& fields) {
  std::vector<size_t> order = order_of(scores);
  order.resize(std::min(order.size(), static_cast<size_t>(fields.top_n.value_or(INT64_MAX))));
  Json results = Json::array();
  for (const size_t i : order) {
    Json one = {{"index", i}, {"relevance_score", scores[i]}};
    if (fields.return_documents) one["document"] = {{"text", documents[i]}};
    results.push_back(std::move(one));
  }
  return results;
}

}  // namespace

void rerank(ApiContext& context, const ApiCall& call) {
  RequestFields fields(call.request.body);
  const ServedModel& model = model_of(context, fields);
  const Relevance& relevance = model.relevance();
  fields.get("user");
  fields.expect("max_tokens_per_doc", {}, "nothing is cut; give a long document in parts");
  fields.expect("max_chunks_per_doc", {}, "nothing is cut; give a long document in parts");
  const std::vector<std::string> documents = read_documents(fields);
  RerankFields f;
  fields.read(f);
  if (f.query.empty()) refuse("query", "expected a text that is not empty");
  note_ignored(call, fields);
  while_client_waits(context, call, model, "documents", [&](const std::function<void()>& between) {
    const auto scores = relevance.of(f.query, documents, model.context(), between);
    call.reply->json({{"model", model.name()},
                      {"results", results_of(scores.of_texts, documents, f)},
                      {"usage", read_usage(context, model, scores.tokens)}});
  });
}

}  // namespace lathe
