#include "lathe/serve/api/text_work.h"

namespace lathe {
namespace {

struct ClientLeft {};

}  // namespace

void while_client_waits(ApiContext& context, const ApiCall& call, const ServedModel& model,
                        std::string_view param,
                        const std::function<void(const std::function<void()>& between)>& work) {
  try {
    work([&] {
      if (call.reply->http().gone()) throw ClientLeft();
    });
  } catch (const ClientLeft&) {
    context.metrics.cancelled(model.name());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kData) throw;
    throw ApiError(400, message_without_place(error), std::string(param));
  }
}

void require_room(std::span<const std::vector<int32_t>> texts, int64_t most,
                  std::string_view param) {
  for (size_t i = 0; i < texts.size(); ++i)
    if (std::ssize(texts[i]) > most)
      throw ApiError(400,
                     fmt::format("text {} has {} tokens, but this model reads at most {}; give it "
                                 "in parts, nothing is cut",
                                 i, texts[i].size(), most),
                     std::string(param), "context_length_exceeded");
}

nlohmann::ordered_json read_usage(ApiContext& context, const ServedModel& model, int64_t tokens) {
  context.metrics.tokens(model.name(), tokens, 0, 0, 0, 0);
  return {{"prompt_tokens", tokens}, {"total_tokens", tokens}};
}

}  // namespace lathe
