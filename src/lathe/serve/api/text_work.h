// Work on texts that a request's own thread does, without the engine: what /v1/embeddings and /v1/rerank share.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "lathe/serve/api/endpoint.h"

namespace lathe {

// Does the work of one request. `work` gets a function to call between passes, which ends the work when the client has
// left; then there is no answer, and the request counts as cancelled. Error kData of the library becomes ApiError 400 for
// `param`.
void while_client_waits(ApiContext& context, const ApiCall& call, const ServedModel& model,
                        std::string_view param,
                        const std::function<void(const std::function<void()>& between)>& work);

// ApiError 400 with code context_length_exceeded for a text with more tokens than `most`.
void require_room(std::span<const std::vector<int32_t>> texts, int64_t most,
                  std::string_view param);

// Counts the tokens that were read, and {"prompt_tokens", "total_tokens"}.
nlohmann::ordered_json read_usage(ApiContext& context, const ServedModel& model, int64_t tokens);

}  // namespace lathe
