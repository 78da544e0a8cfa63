// The files of an index, and what is said of all of it.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lathe/documents/index/database.h"

namespace lathe {

inline constexpr std::string_view kIndexDatabase = "index.sqlite", kIndexVectors = "vectors.f32";
inline constexpr std::string_view kIndexFormat = "1";

// What an index was made with; it is refused where something else is asked for.
struct IndexSettings {
  std::string encoder_identity = {}, encoder_path = {};  // empty: words only
  int64_t dimensions = 0, chunk_tokens = 256, overlap = 32;
};

// Makes an empty one. Errors: kConfig for a folder with other files.
void make_index(const std::filesystem::path& folder, const IndexSettings& settings);
bool is_index(const std::filesystem::path& folder);
// Opens one. Errors: kIo where there is none, kFormat for one of another version or a damaged one.
std::unique_ptr<Database> open_index(const std::filesystem::path& folder, Database::Mode mode);
IndexSettings settings_of(Database& index);
// How many vectors are complete.
int64_t vectors_of(Database& index);

}  // namespace lathe
