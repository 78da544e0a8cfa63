#include "lathe/documents/index/index_files.h"

#include <charconv>

#include "lathe/base/error.h"

namespace lathe {
namespace {

// Texts are blobs throughout (database.h). AUTOINCREMENT: the number of a piece that is gone never comes again, since old
// lists of words may have it.
constexpr std::string_view kTables = R"(
CREATE TABLE meta(key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE files(id INTEGER PRIMARY KEY, path BLOB UNIQUE, bytes INTEGER, changed INTEGER, hash BLOB, title BLOB,
                   reason BLOB);
CREATE TABLE chunks(id INTEGER PRIMARY KEY AUTOINCREMENT, file INTEGER, first INTEGER, last INTEGER, trail BLOB, text BLOB);
CREATE INDEX chunks_of_file ON chunks(file);
CREATE TABLE pieces(id INTEGER PRIMARY KEY AUTOINCREMENT, chunk INTEGER, words INTEGER, tokens INTEGER, vector INTEGER);
CREATE INDEX pieces_of_chunk ON pieces(chunk);
CREATE TABLE postings(word BLOB, segment INTEGER, list BLOB, PRIMARY KEY(word, segment)) WITHOUT ROWID;
CREATE TABLE vectors(hash BLOB PRIMARY KEY, place INTEGER) WITHOUT ROWID;
CREATE TABLE counts(name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
)";

std::optional<std::string> meta(Database& index, std::string_view key) {
  Statement find(index, "SELECT value FROM meta WHERE key = ?1");
  find.bind(key);
  return find.next() ? std::optional(std::string(find.text(0))) : std::nullopt;
}

std::string needed(Database& index, std::string_view key) {
  auto value = meta(index, key);
  require(value.has_value(), ErrorKind::kFormat, "index",
          "does not say its `{}`; remove it and make it anew with `lathe index`", key);
  return *value;
}

int64_t number(Database& index, std::string_view key) {
  const std::string text = needed(index, key);
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(error == std::errc() && end == text.data() + text.size() && value >= 0,
          ErrorKind::kFormat, "index",
          "its `{}` is no number; remove it and make it anew with `lathe index`", key);
  return value;
}

}  // namespace

bool is_index(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / kIndexDatabase);
}

void make_index(const std::filesystem::path& folder, const IndexSettings& settings) {
  std::error_code none;
  require(!std::filesystem::exists(folder) || std::filesystem::is_empty(folder, none),
          ErrorKind::kConfig, folder.string(),
          "is no index and not empty; give --out a new or an empty folder");
  std::filesystem::create_directories(folder);
  Database index(folder / kIndexDatabase, Database::Mode::kWrite);
  Transaction transaction(index);
  index.run(kTables);
  Statement set(index, "INSERT INTO meta VALUES(?1, ?2)");
  set.bind("format", kIndexFormat).run();
  set.bind("encoder", settings.encoder_identity).run();
  set.bind("encoder_path", settings.encoder_path).run();
  set.bind("dimensions", std::to_string(settings.dimensions)).run();
  set.bind("chunk_tokens", std::to_string(settings.chunk_tokens)).run();
  set.bind("overlap", std::to_string(settings.overlap)).run();
  transaction.commit();
}

std::unique_ptr<Database> open_index(const std::filesystem::path& folder, Database::Mode mode) {
  require(is_index(folder), ErrorKind::kIo, folder.string(),
          "is no index; make one with `lathe index DIR --out {}`", folder.string());
  auto index = std::make_unique<Database>(folder / kIndexDatabase, mode);
  const std::string format = needed(*index, "format");
  require(format == kIndexFormat, ErrorKind::kFormat, folder.string(),
          "is an index of format '{}', this program has {}; make it anew with `lathe index`",
          format, kIndexFormat);
  return index;
}

IndexSettings settings_of(Database& index) {
  return {.encoder_identity = needed(index, "encoder"),
          .encoder_path = needed(index, "encoder_path"),
          .dimensions = number(index, "dimensions"),
          .chunk_tokens = number(index, "chunk_tokens"),
          .overlap = number(index, "overlap")};
}

int64_t vectors_of(Database& index) {
  Statement last(index, "SELECT max(place) FROM vectors");
  Statement any(index, "SELECT 1 FROM vectors LIMIT 1");
  return any.next() && last.next() ? last.integer(0) + 1 : 0;
}

}  // namespace lathe
