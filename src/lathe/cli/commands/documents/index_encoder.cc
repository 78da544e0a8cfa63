#include "lathe/cli/commands/documents/index_encoder.h"

#include <filesystem>

#include "lathe/base/error.h"
#include "lathe/cli/frame/interrupt.h"

namespace lathe {

std::unique_ptr<ModelDocumentEncoder> encoder_of(const DocumentIndex& index, const Log& log) {
  if (!index.has_vectors()) return nullptr;
  const IndexSettings& made = index.settings();
  require(std::filesystem::exists(made.encoder_path), ErrorKind::kConfig, made.encoder_path,
          "is the encoder of this index and is gone; put it back, or search with --mode bm25");
  auto encoder = std::make_unique<ModelDocumentEncoder>(made.encoder_path, log,
                                                        [] { throw_if_interrupted(); });
  require(
      encoder->identity() == made.encoder_identity, ErrorKind::kConfig, made.encoder_path,
      "is another model than the one that made this index; put that one back, or make the index anew");
  return encoder;
}

}  // namespace lathe
