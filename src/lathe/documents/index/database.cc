#include "lathe/documents/index/database.h"

#include <sqlite3.h>

#include "lathe/base/error.h"

namespace lathe {

Statement::Statement(Database& database, std::string_view sql) : database_(database) {
  const int code = sqlite3_prepare_v2(database_.database_, sql.data(), static_cast<int>(sql.size()),
                                      &statement_, nullptr);
  if (code != SQLITE_OK) database_.refuse(code);
}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

bool Statement::next() {
  const int code = sqlite3_step(statement_);
  if (code != SQLITE_ROW && code != SQLITE_DONE) database_.refuse(code);
  return code == SQLITE_ROW;
}

void Statement::run() {
  next();
  reset();
}

int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view Statement::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return bytes == nullptr ? std::string_view() : std::string_view(bytes, size);
}

void Statement::bind_one(int at, int64_t value) { sqlite3_bind_int64(statement_, at, value); }

// As a blob: a text of SQLite ends at a zero.
void Statement::bind_one(int at, std::string_view value) {
  sqlite3_bind_blob64(statement_, at, value.empty() ? "" : value.data(), value.size(),
                      SQLITE_TRANSIENT);
}

Database::Database(const std::filesystem::path& path, Mode mode) : name_(path.string()) {
  const int flags =
      mode == Mode::kRead ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int code = sqlite3_open_v2(name_.c_str(), &database_, flags, nullptr);
  if (code != SQLITE_OK) {
    const std::string why = sqlite3_errmsg(database_);
    sqlite3_close(database_);
    fail(ErrorKind::kIo, name_, "cannot be opened: {}; is it an index that `lathe index` made?",
         why);
  }
  sqlite3_busy_timeout(database_, 10'000);
}

Database::~Database() { sqlite3_close(database_); }

void Database::refuse(int code) const {
  const char* why = sqlite3_errmsg(database_);
  if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
    fail(ErrorKind::kIo, name_, "is written by another program; try again when that has ended");
  fail(code == SQLITE_IOERR || code == SQLITE_FULL ? ErrorKind::kIo : ErrorKind::kFormat, name_,
       "{}; if it is damaged, remove the index and make it anew with `lathe index`", why);
}

void Database::run(std::string_view sql) {
  char* why = nullptr;
  const int code = sqlite3_exec(database_, std::string(sql).c_str(), nullptr, nullptr, &why);
  sqlite3_free(why);
  if (code != SQLITE_OK) refuse(code);
}

int64_t Database::last_id() const { return sqlite3_last_insert_rowid(database_); }

Transaction::~Transaction() {
  if (!open_) return;
  try {
    database_.run("ROLLBACK");
  } catch (const Error&) {  // SQLite has taken it back already
  }
}

void Transaction::commit() {
  database_.run("COMMIT");
  open_ = false;
}

}  // namespace lathe
