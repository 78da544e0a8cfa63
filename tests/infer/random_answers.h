// Answers of a random model at temperature 1.5, each held to a constraint of its own, many in one engine.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "lathe/constraint/constraint.h"
#include "lathe/infer/engine.h"
#include "model/grid.h"

namespace lathe::testing {

// How many of something a test tries: `usual`, or what LATHE_TRIES says.
inline size_t tries(size_t usual) {
  const char* set = std::getenv("LATHE_TRIES");
  if (set != nullptr) return std::stoull(set);
  std::cout << usual << " tries; LATHE_TRIES says another number\n";
  return usual;
}

struct RandomAnswer {
  std::vector<int32_t> tokens;  // with the token that ends it
  Finished end;
};

// A random model hardly ever ends a text, so tokens that close something are made likelier: quotation
// marks, brackets, and the end.
inline std::map<int64_t, double> likelier_ends(const TokenVocabulary& vocabulary) {
  std::map<int64_t, double> bias;
  for (int32_t id = 0; static_cast<size_t>(id) < vocabulary.size(); ++id) {
    const std::string& bytes = vocabulary.bytes(id);
    if (bytes == "\"" || bytes == "}" || bytes == "]") bias[id] = 6;
    if (vocabulary.is_end(id)) bias[id] = 6;
  }
  return bias;
}

inline std::vector<RandomAnswer> random_answers(
    const std::vector<std::shared_ptr<const Constraint>>& constraints, uint64_t seed,
    int64_t most_tokens = 400, const std::optional<Thinking>& thinking = {}) {
  std::vector<RandomAnswer> answers(constraints.size());
  if (constraints.empty()) return answers;
  ModelConfig config = tiny_config();
  const TokenVocabulary& vocabulary = constraints.front()->vocabulary();
  config.vocab_size = static_cast<int64_t>(vocabulary.size());
  config.max_position_embeddings = most_tokens + 8;
  auto model = make_model(config, DType::kF32, Device::kCpu);
  randomize(*model, seed);
  Engine engine(*model, {.cache_tokens = 32 * (most_tokens + 40),
                         .max_sequences = 32,
                         .max_queue = static_cast<int64_t>(constraints.size())});
  for (size_t i = 0; i < constraints.size(); ++i) {
    Request request{
        .prompt = {1, 2, 3}, .stream = i, .constraint = constraints[i], .thinking = thinking};
    request.sampling.max_new_tokens = most_tokens;
    request.sampling.temperature = 1.5;
    request.sampling.ignore_eos = true;
    request.sampling.seed = static_cast<int64_t>(seed);
    request.sampling.logit_bias = likelier_ends(vocabulary);
    request.on_token = [&answers, i](const NewToken& token) {
      answers[i].tokens.push_back(token.token);
      return true;
    };
    request.on_finish = [&answers, i](const Finished& end) { answers[i].end = end; };
    EXPECT_GT(engine.submit(std::move(request)).id, 0u);
  }
  engine.run();
  for (const RandomAnswer& answer : answers)
    if (answer.end.error) std::rethrow_exception(answer.end.error);
  return answers;
}

}  // namespace lathe::testing
