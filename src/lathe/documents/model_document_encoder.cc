#include "lathe/documents/model_document_encoder.h"

#include <cstring>
#include <filesystem>

#include "lathe/io/hash.h"
#include "lathe/model/load_model.h"

namespace lathe {

ModelDocumentEncoder::ModelDocumentEncoder(const std::string& path, const Log& log,
                                           std::function<void()> before_each)
    : path_(std::filesystem::weakly_canonical(path).string()),
      identity_(hash_artefact(path)),
      tokenizer_(load_tokenizer(path)),
      model_(load_for_inference(path, DType::kF32, log)),
      before_each_(std::move(before_each)) {
  encoder_ = std::make_unique<SentenceEncoder>(
      *model_, tokenizer_, read_sentence_config(path, model_->config(), log),
      SentenceEncoderOptions{.long_texts = LongTexts::kCut});
}

int64_t ModelDocumentEncoder::tokens(std::string_view text) const {
  return std::ssize(encoder_->tokens(text));
}

// A text of which the tokenizer leaves nothing has no direction.
void ModelDocumentEncoder::encode(std::span<const std::string> texts, float* out) {
  std::vector<std::vector<int32_t>> ids;
  std::vector<size_t> places;
  const auto width = static_cast<size_t>(dimensions());
  std::fill(out, out + texts.size() * width, 0.0F);
  for (size_t i = 0; i < texts.size(); ++i) {
    std::vector<int32_t> one = encoder_->tokens(texts[i]);
    if (one.empty()) continue;
    ids.push_back(std::move(one));
    places.push_back(i);
  }
  if (ids.empty()) return;
  const Tensor vectors = encoder_->embed(ids, before_each_);
  const auto* from = vectors.data<float>();
  for (size_t i = 0; i < places.size(); ++i)
    std::copy_n(from + i * width, width, out + places[i] * width);
}

}  // namespace lathe
