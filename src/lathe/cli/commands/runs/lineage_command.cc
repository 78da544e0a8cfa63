#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/config/json_text.h"
#include "lathe/corpus/token_shard.h"
#include "lathe/io/manifest.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using State = LineageNode::State;

struct LineageOptions {
  std::string path;
  std::optional<int64_t> token;
  void visit(Visitor& v) {
    v.positional("path", path, "an artefact: model, checkpoint, tokenizer, shard, evaluation");
    v.field("token", token,
            "for a shard, also name the document that contains this token of the stream",
            at_least(0));
  }
};

const char* state_name(State state) {
  switch (state) {
    case State::kIntact:
      return "intact";
    case State::kChanged:
      return "changed";
    case State::kMissing:
      return "missing";
    case State::kUnrecorded:
      return "unrecorded";
  }
  return "";
}

std::string state_note(const LineageNode& node) {
  switch (node.state) {
    case State::kIntact:
      return "";
    case State::kChanged:
      return node.changed_files.empty() ? "  CHANGED since it was used" : "  CHANGED";
    case State::kMissing:
      return "  MISSING";
    case State::kUnrecorded:
      return node.manifest ? "" : "  (no manifest)";
  }
  return "";
}

Json to_json(const LineageNode& node) {
  Json out = {{"path", node.path}, {"kind", node.kind}, {"state", state_name(node.state)}};
  if (!node.recorded_hash.empty()) out["hash"] = node.recorded_hash;
  if (!node.changed_files.empty()) out["changed_files"] = node.changed_files;
  if (node.manifest) {
    const Manifest& m = *node.manifest;
    out["created"] = m.created;
    out["version"] = m.version;
    out["command"] = m.command;
    if (m.seed) out["seed"] = *m.seed;
    if (!m.facts.empty()) out["facts"] = parse_json(m.facts, "facts");
    if (!m.recipe.empty()) out["recipe"] = parse_json(m.recipe, "recipe");
    out["machine"] = {{"cpu", m.cpu}, {"threads", m.threads}};
  }
  if (!node.parents.empty()) {
    out["parents"] = Json::array();
    for (const auto& parent : node.parents) out["parents"].push_back(to_json(parent));
  }
  return out;
}

// Where a run went on with another recipe than it began with.
std::vector<std::string> branches_of(const Manifest& m) {
  std::vector<std::string> branches;
  if (m.facts.empty()) return branches;
  const Json facts = parse_json(m.facts, "facts");
  const auto found = facts.find("branches");
  if (found == facts.end() || !found->is_array()) return branches;
  for (const Json& branch : *found)
    if (branch.is_string()) branches.push_back(branch.get<std::string>());
  return branches;
}

// The tree as text: one line an artefact, its making indented below it.
void print_tree(std::ostream& out, const LineageNode& node, const std::string& indent,
                const std::string& branch) {
  out << indent << branch << (node.kind.empty() ? "artefact" : node.kind) << "  " << node.path
      << state_note(node) << '\n';
  const std::string below = indent + (branch.empty()            ? ""
                                      : branch.starts_with("└") ? "   "
                                                                : "│  ");
  const std::string bar = node.parents.empty() ? "   " : "│  ";
  for (const auto& file : node.changed_files) out << below << bar << "! " << file << '\n';
  if (node.manifest) {
    const Manifest& m = *node.manifest;
    out << below << bar << m.created << "  lathe " << m.version;
    if (m.seed) out << "  seed " << *m.seed;
    out << "  " << m.cpu << ", " << m.threads << " threads\n";
    if (!m.command.empty()) out << below << bar << "$ " << m.command << '\n';
    for (const std::string& text : branches_of(m)) out << below << bar << "branch " << text << '\n';
  }
  for (size_t i = 0; i < node.parents.size(); ++i)
    print_tree(out, node.parents[i], below, i + 1 == node.parents.size() ? "└─ " : "├─ ");
}

int64_t count_problems(const LineageNode& node) {
  int64_t count = node.state == State::kChanged || node.state == State::kMissing;
  for (const auto& parent : node.parents) count += count_problems(parent);
  return count;
}

// Document -> input file, through the counts that `lathe shard` leaves in the manifest.
Json trace_token(const LineageNode& node, int64_t token) {
  const TokenShard shard(node.path);
  const int64_t document = shard.document_of(token);
  Json out = {{"token", token},
              {"document", document},
              {"position_in_document", token - shard.document(document).begin}};
  if (!node.manifest || node.manifest->facts.empty()) return out;
  const Json facts = parse_json(node.manifest->facts, "facts");
  const auto counts = facts.find("documents_per_input");
  if (counts == facts.end() || !counts->is_array()) return out;
  int64_t first = 0;
  for (size_t i = 0; i < counts->size() && i < node.manifest->inputs.size(); ++i) {
    if (!(*counts)[i].is_number_integer()) break;
    const auto count = (*counts)[i].get<int64_t>();
    if (document < first + count) {
      out["source"] = node.manifest->inputs[i].path;
      out["document_of_source"] = document - first;
      break;
    }
    first += count;
  }
  return out;
}

int run_lineage(const LineageOptions& options, CommandContext& context) {
  const LineageNode root = trace_lineage(options.path);
  require(root.manifest.has_value(), ErrorKind::kData, options.path,
          "has no manifest: it was not made by lathe, or its manifest was removed");
  const int64_t problems = count_problems(root);
  if (context.json) {
    Json result = to_json(root);
    result["problems"] = problems;
    if (options.token) result["traced"] = trace_token(root, *options.token);
    context.print_json(result);
  } else {
    print_tree(context.out, root, "", "");
    if (options.token) {
      const Json t = trace_token(root, *options.token);
      context.out << fmt::format("token {} is token {} of document {}", *options.token,
                                 t["position_in_document"].get<int64_t>(),
                                 t["document"].get<int64_t>());
      if (t.contains("source"))
        context.out << fmt::format(", document {} taken from {}",
                                   t["document_of_source"].get<int64_t>(),
                                   t["source"].get<std::string>());
      context.out << '\n';
    }
    if (problems > 0)
      context.out << problems
                  << " of these have changed or are missing: what is here now cannot be "
                  << "reproduced from them\n";
  }
  return problems > 0 ? 1 : 0;
}

}  // namespace

Command lineage_command() {
  return make_command<LineageOptions>(
      {.name = "lineage",
       .summary = "print what an artefact was made from, up to the raw text",
       .help =
           "Follows the manifests from parent to parent, compares every recorded hash with what\n"
           "is on disk now, and exits with 1 if something has changed or is missing.\n\n"
           "  lathe lineage runs/demo/model\n"
           "  lathe lineage runs/data --token 123456      # which document is this token from?\n"},
      run_lineage);
}

}  // namespace lathe
