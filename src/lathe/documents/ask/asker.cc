#include "lathe/documents/ask/asker.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "lathe/base/error.h"
#include "lathe/chat/token_vocabulary.h"
#include "lathe/constraint/constraint.h"
#include "lathe/documents/ask/answer_text.h"
#include "lathe/infer/generate.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// The largest value, and by how much it exceeds the second.
struct Largest {
  double value = 0, lead = 0;
};
Largest largest(std::span<const FoundChunk> found, double FoundChunk::*key) {
  std::vector<double> values;
  for (const FoundChunk& one : found) values.push_back(one.*key);
  std::ranges::sort(values, std::greater<>());
  return {values[0], values[0] - (values.size() > 1 ? values[1] : 0)};
}

std::vector<int32_t> ends_of(const Transformer& model, const GenerationConfig& generation) {
  std::vector<int32_t> ends(generation.eos_token_id.begin(), generation.eos_token_id.end());
  for (const int64_t id : model.config().eos_token_ids())
    if (std::ranges::find(ends, id) == ends.end()) ends.push_back(static_cast<int32_t>(id));
  return ends;
}

}  // namespace

double confidence_of(std::span<const FoundChunk> found, bool has_vectors) {
  if (found.empty()) return 0;
  const Largest cosine = largest(found, &FoundChunk::cosine);
  const Largest coverage = largest(found, &FoundChunk::coverage);
  const double logit = has_vectors ? 2.7 * cosine.value + 7.6 * coverage.value +
                                         0.53 * found.front().score + 7.9 * cosine.lead - 9.5
                                   : 5.9 * coverage.value + 6.4 * coverage.lead - 4.1;
  return 1 / (1 + std::exp(-logit));
}

DocumentAsker::DocumentAsker(DocumentIndex& index, DocumentEncoder* encoder,
                             const Transformer& model, const Tokenizer& tokenizer,
                             const ChatTemplate& chat_template, GenerationConfig generation,
                             AskOptions options)
    : index_(index),
      encoder_(encoder),
      model_(model),
      tokenizer_(tokenizer),
      template_(chat_template),
      generation_(std::move(generation)),
      options_(options),
      disarmed_(tokenizer),
      weight_([this](const std::string& word) { return index_.weight(word); }) {
  require(!index_.has_vectors() ||
              (encoder_ && encoder_->identity() == index_.settings().encoder_identity),
          ErrorKind::kConfig, "index",
          "was made with another encoder than the one that asks; give {}",
          index_.settings().encoder_path);
}

std::vector<FoundChunk> DocumentAsker::find(const std::string& question) {
  if (!index_.has_vectors())
    return index_.search(question, {}, SearchMode::kBm25, options_.passages);
  std::vector<float> vector(static_cast<size_t>(index_.settings().dimensions));
  encoder_->encode(std::span(&question, 1), vector.data());
  return index_.search(question, vector, SearchMode::kHybrid, options_.passages);
}

// How many of them fit.
size_t DocumentAsker::shown_of(const std::vector<FoundChunk>& found) const {
  int64_t tokens = 0;
  size_t count = 0;
  for (const FoundChunk& one : found) {
    tokens += std::ssize(tokenizer_.encode(one.text));
    if (count > 0 && tokens > options_.passage_tokens) break;
    ++count;
  }
  return count;
}

std::string DocumentAsker::write(const DocumentAnswer& answer, size_t shown,
                                 const std::string& question) const {
  const bool may_abstain = answer.confidence < options_.certain;
  const Json messages =
      passage_messages(std::span(answer.retrieved).first(shown), question, may_abstain, disarmed_);
  const std::string prompt =
      template_.text({{"messages", messages}, {"tools", nullptr}, {"add_generation_prompt", true}});
  GenerateRequest request;
  request.prompts = {tokenizer_.encode(prompt)};
  request.constraint = std::make_shared<const Constraint>(
      answer_grammar(static_cast<int64_t>(shown), may_abstain),
      token_vocabulary(tokenizer_, ends_of(model_, generation_)));
  StreamDecoder decoder(tokenizer_, {.skip_special = true});
  std::string text;
  request.on_token = [&](size_t, int32_t token) {
    text += decoder.push(token);
    return true;
  };
  GenerationConfig config = generation_;
  config.max_new_tokens =
      std::min(options_.new_tokens, room_after(model_, std::ssize(request.prompts.front())));
  generate(model_, config, request);
  return text + decoder.finish();
}

// What was cut before its mark has none, and is left out; so is what was said before.
void DocumentAsker::add_citations(DocumentAnswer& answer, const std::string& question) {
  std::set<int64_t> cited;
  std::set<std::string> said;
  std::string kept;
  for (const AnswerSentence& sentence : sentences_of_answer(answer.text)) {
    if (sentence.passage < 1 || sentence.passage > std::ssize(answer.retrieved)) continue;
    if (!said.insert(sentence.text).second) continue;
    const FoundChunk& chunk = answer.retrieved[static_cast<size_t>(sentence.passage - 1)];
    answer.sentences.push_back(
        {sentence.text, sentence.passage,
         support_of(sentence.text, chunk.trail + "\n" + chunk.text, weight_)});
    kept += fmt::format("{}{} [{}]", kept.empty() ? "" : " ", sentence.text, sentence.passage);
    if (!cited.insert(sentence.passage).second) continue;
    Quote quote = quote_for(chunk, sentence.text, question, weight_);
    answer.citations.push_back(
        {sentence.passage, chunk.path, quote.begin, quote.end, std::move(quote.text)});
  }
  answer.text = kept;
}

DocumentAnswer DocumentAsker::ask(const std::string& question) {
  DocumentAnswer answer;
  answer.retrieved = find(question);
  answer.confidence = confidence_of(answer.retrieved, index_.has_vectors());
  if (answer.confidence >= options_.confidence) {
    answer.text = write(answer, shown_of(answer.retrieved), question);
    if (answer.text != kNotInDocuments) add_citations(answer, question);
  }
  answer.abstained = answer.citations.empty();
  if (answer.abstained) answer.text = kNotInDocuments;
  return answer;
}

}  // namespace lathe
