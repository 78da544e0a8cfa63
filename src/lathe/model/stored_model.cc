#include "lathe/model/stored_model.h"

#include "lathe/base/error.h"
#include "lathe/model/folder_model.h"
#include "lathe/model/gguf/gguf_model.h"

namespace lathe {

std::unique_ptr<const StoredModel> open_stored_model(const std::filesystem::path& path) {
  if (is_gguf_file(path)) return std::make_unique<GgufModel>(path);
  std::error_code error;
  require(
      !std::filesystem::is_regular_file(path, error), ErrorKind::kFormat, path.string(),
      "is not a GGUF file, since it does not begin with \"GGUF\"; give one, or a model's folder");
  return std::make_unique<FolderModel>(path);
}

}  // namespace lathe
