#include "lathe/corpus/tokenizer_folder.h"

#include <filesystem>

#include "lathe/base/error.h"
#include "lathe/io/atomic_file.h"

namespace lathe {
namespace fs = std::filesystem;

void refuse_existing_tokenizer(const std::string& folder, bool overwrite) {
  std::error_code error;
  require(overwrite || !fs::exists(fs::path(folder) / "tokenizer.json", error), ErrorKind::kIo,
          folder,
          "holds a tokenizer with which shards and models may have been made; choose another "
          "folder, or replace it with --overwrite");
}

void write_tokenizer_folder(const std::string& folder, std::span<const TokenizerFile> files,
                            Manifest manifest) {
  const fs::path path = folder;
  std::error_code error;
  fs::create_directories(path, error);
  require(!error, ErrorKind::kIo, folder, "cannot create the folder: {}", error.message());
  for (const TokenizerFile& file : files) write_file_atomically(path / file.name, file.content);
  for (const TokenizerFile& file : files) add_output(manifest, path / file.name, "tokenizer");
  write_manifest(manifest_path(path, true), manifest);
}

}  // namespace lathe
