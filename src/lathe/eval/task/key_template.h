// A template of one of a task's keys.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "lathe/eval/task/task_config.h"
#include "lathe/text/jinja/template.h"

namespace lathe {

// Sees the task's macros and a row's fields; an unknown name is an error. Chat templates lose a line end at their end;
// these keep it. Immutable; const functions are thread-safe. They throw kData at `place`, naming the key.
class KeyTemplate {
 public:
  // Throws kFormat, naming the task's file and the key, for a source that is no template.
  KeyTemplate(const TaskConfig& config, const char* key, const std::string& source);

  jinja::Rendered rendered(const nlohmann::ordered_json& fields, const std::string& place) const;
  // Of a source that is one {{ … }} with its type.
  nlohmann::ordered_json value(const nlohmann::ordered_json& fields,
                               const std::string& place) const;

 private:
  const char* key_;
  std::string end_;
  jinja::Template template_;
};

}  // namespace lathe
