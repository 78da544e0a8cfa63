// POST /v1/embeddings: vectors of texts (embed/sentence_encoder.h).
#include <bit>
#include <cmath>

#include "lathe/serve/api/endpoints.h"
#include "lathe/serve/api/prompt_list.h"
#include "lathe/serve/api/text_work.h"
#include "lathe/text/base64.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct EmbeddingFields {
  std::string encoding_format = "float";
  std::optional<int64_t> dimensions;
  void visit(Visitor& v) {
    v.choice("encoding_format", encoding_format, {"float", "base64"},
             "numbers, or base64 of their bytes as little-endian float32");
    v.field("dimensions", dimensions, "the first so many values of each vector, of length 1 again",
            at_least(1));
  }
};

// The beginning of a vector, of length 1 again; one of zeros stays.
std::vector<float> beginning(std::span<const float> vector, size_t size) {
  std::vector<float> out(vector.begin(), vector.begin() + static_cast<ptrdiff_t>(size));
  if (size == vector.size()) return out;
  double sum = 0;
  for (const float x : out) sum += static_cast<double>(x) * static_cast<double>(x);
  for (float& x : out)
    if (sum > 0) x = static_cast<float>(static_cast<double>(x) / std::sqrt(sum));
  return out;
}

// Its bytes, the lowest of each number first on every machine.
std::string little_endian(std::span<const float> vector) {
  std::string out;
  for (const float x : vector) {
    const auto bits = std::bit_cast<uint32_t>(x);
    for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(bits >> shift & 0xFF);
  }
  return out;
}

Json answer_of(const Tensor& vectors, const EmbeddingFields& fields) {
  const int64_t width = vectors.size(1);
  const auto size = static_cast<size_t>(fields.dimensions.value_or(width));
  Json data = Json::array();
  for (int64_t i = 0; i < vectors.size(0); ++i) {
    const std::vector<float> vector = beginning(vectors.narrow(0, i, 1).span<float>(), size);
    Json embedding =
        fields.encoding_format == "base64" ? Json(to_base64(little_endian(vector))) : Json(vector);
    data.push_back({{"object", "embedding"}, {"index", i}, {"embedding", std::move(embedding)}});
  }
  return data;
}

}  // namespace

void embeddings(ApiContext& context, const ApiCall& call) {
  RequestFields fields(call.request.body);
  const ServedModel& model = model_of(context, fields);
  const SentenceEncoder& encoder = model.encoder();
  fields.get("user");  // says who asks, which changes nothing
  const PromptList input = read_prompts(fields, "input", model, encoder.config().special_tokens);
  EmbeddingFields f;
  fields.read(f);
  if (f.dimensions && *f.dimensions > encoder.width())
    refuse("dimensions", "{}, but vectors of {} have {} values", *f.dimensions, model.name(),
           encoder.width());
  require_room(input.ids, std::min(encoder.longest(), model.context()), "input");
  note_ignored(call, fields);
  while_client_waits(context, call, model, "input", [&](const std::function<void()>& between) {
    const Tensor vectors = encoder.embed(input.ids, between);
    int64_t tokens = 0;
    for (const auto& ids : input.ids) tokens += std::ssize(ids);
    call.reply->json({{"object", "list"},
                      {"data", answer_of(vectors, f)},
                      {"model", model.name()},
                      {"usage", read_usage(context, model, tokens)}});
  });
}

}  // namespace lathe
