// A file of SQLite: statements as objects, and errors with the words of the database.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace lathe {

class Database;

// One statement with ?1, ?2, … . Values are bound, rows are read, and reset() begins anew. Not thread-safe.
class Statement {
 public:
  Statement(Database& database, std::string_view sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  template <class... Values>
  Statement& bind(const Values&... values) {
    reset();
    int at = 0;
    (bind_one(++at, values), ...);
    return *this;
  }
  bool next();  // whether there is another row
  void run();   // binds nothing more; no rows are expected
  void reset();

  int64_t integer(int column) const;
  std::string_view text(int column) const;  // of a text or a blob, until next() or reset()

 private:
  void bind_one(int at, int64_t value);
  void bind_one(int at, std::string_view value);
  void bind_one(int at, const std::string& value) { bind_one(at, std::string_view(value)); }
  void bind_one(int at, const char* value) { bind_one(at, std::string_view(value)); }
  Database& database_;
  sqlite3_stmt* statement_ = nullptr;
};

class Database {
 public:
  enum class Mode : uint8_t { kRead, kWrite };
  // Errors: kIo where it cannot be opened; kFormat from all calls where it is no database, or damaged.
  Database(const std::filesystem::path& path, Mode mode);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void run(std::string_view sql);  // one or several statements without values
  int64_t last_id() const;

 private:
  friend class Statement;
  [[noreturn]] void refuse(int code) const;
  std::string name_;
  sqlite3* database_ = nullptr;
};

// Begins it, and takes everything back unless commit() is called.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) {
    database_.run("BEGIN IMMEDIATE");
  }
  ~Transaction();
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

}  // namespace lathe
