// A model of a folder or a GGUF file as the encoder of an index.
#pragma once

#include <memory>
#include <string>

#include "lathe/base/log.h"
#include "lathe/documents/document_encoder.h"
#include "lathe/embed/sentence_encoder.h"
#include "lathe/model/transformer.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

class ModelDocumentEncoder : public DocumentEncoder {
 public:
  // `before_each` is called before each pass and may throw. Errors: those of reading the files, and kConfig for a model
  // that gives no vectors.
  ModelDocumentEncoder(const std::string& path, const Log& log,
                       std::function<void()> before_each = {});

  std::string identity() const override { return identity_; }
  std::string path() const override { return path_; }
  int64_t dimensions() const override { return encoder_->width(); }
  int64_t tokens(std::string_view text) const override;
  void encode(std::span<const std::string> texts, float* out) override;

 private:
  std::string path_, identity_;
  Tokenizer tokenizer_;
  std::unique_ptr<Transformer> model_;
  std::unique_ptr<SentenceEncoder> encoder_;
  std::function<void()> before_each_;
};

}  // namespace lathe
