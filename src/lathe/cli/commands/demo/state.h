// What a demo stores in demo.json: which stages are done and what they found, so that an
// interrupted demo continues where it stopped and `lathe report` can draw its page again.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "lathe/base/log.h"
#include "lathe/config/visit.h"

namespace lathe {

struct DemoOptions {
  double minutes = 8;
  std::optional<std::string> text;
  std::string out = "runs/demo";
  bool fresh = false;

  void visit(Visitor& v);
};

struct DemoStage {
  std::string name;
  std::function<std::string()> work;  // returns what was done, in a line
};

class DemoState {
 public:
  // Takes OUT, or the first of OUT-2, OUT-3, … that is free or, without `fresh`, holds an
  // unfinished demo, whose options must be the same. Throws kUsage otherwise.
  DemoState(const DemoOptions& options, const Log& log);

  const std::filesystem::path& folder() const { return folder_; }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  nlohmann::ordered_json& operator[](const char* key) { return json_[key]; }
  bool contains(const char* key) const { return json_.contains(key); }
  void save() const;

  // The seconds of the stages that are done and of the one that was started.
  double seconds_so_far() const;
  // Runs the stage unless it is done. Throws kInterrupted, after saving, if it was stopped.
  void run(const DemoStage& stage, int number, int count);

 private:
  void check_same_wishes(const DemoOptions& options) const;
  bool is_done(const std::string& name) const;

  Log log_;
  std::filesystem::path folder_;
  nlohmann::ordered_json json_;
};

}  // namespace lathe
