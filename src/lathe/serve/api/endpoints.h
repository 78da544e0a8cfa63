// The functions behind the endpoints; api.cc lists them with their methods and paths.
#pragma once

#include "lathe/serve/api/endpoint.h"

namespace lathe {

void chat_completions(ApiContext& context, const ApiCall& call);
void completions(ApiContext& context, const ApiCall& call);
void embeddings(ApiContext& context, const ApiCall& call);
void rerank(ApiContext& context, const ApiCall& call);
void responses(ApiContext& context, const ApiCall& call);
void show_response(ApiContext& context, const ApiCall& call);
void forget_response(ApiContext& context, const ApiCall& call);
void messages(ApiContext& context, const ApiCall& call);
void count_tokens(ApiContext& context, const ApiCall& call);
void list_models(ApiContext& context, const ApiCall& call);
void show_model(ApiContext& context, const ApiCall& call);
void tokenize(ApiContext& context, const ApiCall& call);
void detokenize(ApiContext& context, const ApiCall& call);
void apply_template(ApiContext& context, const ApiCall& call);
void cancel_request(ApiContext& context, const ApiCall& call);
void health(ApiContext& context, const ApiCall& call);
void metrics(ApiContext& context, const ApiCall& call);
void slots(ApiContext& context, const ApiCall& call);
void front_page(ApiContext& context, const ApiCall& call);
void page_file(ApiContext& context, const ApiCall& call);
void add_vote(ApiContext& context, const ApiCall& call);

}  // namespace lathe
