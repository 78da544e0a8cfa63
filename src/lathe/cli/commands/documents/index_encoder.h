// The encoder that an index was made with.
#pragma once

#include <memory>

#include "lathe/documents/model_document_encoder.h"
#include "lathe/documents/search/document_index.h"

namespace lathe {

// Null for an index of words alone. Errors: kConfig where the encoder is not where it was, or is another one.
std::unique_ptr<ModelDocumentEncoder> encoder_of(const DocumentIndex& index, const Log& log);

}  // namespace lathe
